"""A host on which the old scripts ran: their files, made by the same programs, and Backstop beside them."""

from __future__ import annotations

import gzip
import os
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from backstop.commands.legacy.known import LegacyStock, look_at
from backstop.commands.legacy.places import BucketPlace, DirectoryPlace, Kind, Place
from backstop.commands.legacy.verify import verify_legacy
from backstop.commands.progress import Silent
from backstop.model.legacy import LegacyNames
from backstop.repository.legacy_records import LegacyRecords
from tests.protection import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.legacy.known import Known
    from backstop.commands.proof.dump import VerifySettings
    from backstop.crypto.signing import Signer, TrustedSigners
    from backstop.model.legacy_proof import LegacyProof
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository
    from backstop.storage.base import Storage
    from embedded.postgres import EmbeddedPostgres

DUMPS = LegacyNames("full_%Y%m%d_%H%M%S.sql.gz", ZoneInfo("UTC"))
MEDIA = LegacyNames("media_%Y%m%d_%H%M%S.tar.gz", ZoneInfo("UTC"))


def dumped(server: EmbeddedPostgres, database: ClusterConnection, *options: str) -> bytes:
    """``pg_dump`` as the script called it, before ``gzip``."""
    argv = [str(server.bin_dir / "pg_dump"), *options]
    environment = {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGUSER": database.user,
        "PGDATABASE": database.dbname,
        "PGPASSWORD": database.password or "",
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(argv, env=environment, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def dump_name(at: datetime) -> str:
    return f"full_{at:%Y%m%d_%H%M%S}.sql.gz"


@dataclass
class OldHost:
    """Directories of old files, and one repository whose backups take their place."""

    folder: Path
    repository: Repository
    trust: TrustedSigners
    signer: Signer
    settings: VerifySettings
    places: list[Place] = field(default_factory=list)

    @property
    def records(self) -> LegacyRecords:
        return LegacyRecords(self.repository, self.trust)

    def directory(self, name: str, names: LegacyNames, *, tree: str = "") -> Path:
        """A new directory of old files, which counts from now on."""
        path = self.folder / name
        path.mkdir(parents=True)
        self.places.append(DirectoryPlace(Kind(tree, self.repository.name, names), path))
        return path

    def bucket(self, storage: Storage, names: LegacyNames, *, tree: str = "") -> None:
        self.places.append(BucketPlace(Kind(tree, self.repository.name, names), storage))

    def stock(self) -> LegacyStock:
        return look_at(self.places, {self.repository.name: self.records})

    def verify(self, known: Known) -> LegacyProof:
        return verify_legacy(
            known.place,
            known.backup,
            records=self.records,
            signer=self.signer,
            settings=self.settings,
            clock=utc_now,
            progress=Silent(),
        )


def write_dump(directory: Path, sql: bytes, *, age: timedelta = timedelta()) -> Path:
    """``gzip > full_<time>.sql.gz``."""
    path = directory / dump_name(utc_now() - age)
    path.write_bytes(gzip.compress(sql, 1))
    return path
