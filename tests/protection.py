"""A protected database with two real repositories, for tests of whole commands."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.database.attempt import DumpSettings
from backstop.commands.database.dump import back_up_database
from backstop.commands.database.restore import DatabaseRestore, RestoreSettings
from backstop.commands.progress import Silent
from backstop.commands.proof.dump import VerifySettings, verify_backup
from backstop.credentials import Credential
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupLabel
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.backup_report import BackupReport
    from backstop.model.proof import Proof
    from backstop.postgres.connection import ClusterConnection
    from backstop.storage.base import Storage
    from embedded.seaweedfs import EmbeddedSeaweedFS


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Protection:
    """One database, its repositories and keys, and the commands on them with everything filled in."""

    folder: Path
    source: ClusterConnection
    storages: dict[str, Storage]
    target: str = "calibrify"
    clock: Callable[[], datetime] = utc_now
    dump: DumpSettings = field(init=False)
    verify: VerifySettings = field(init=False)

    def __post_init__(self) -> None:
        self.keys = self.folder / "keys"
        if not self.keys.exists():
            self.keys.mkdir(mode=0o700)
            LocalKeyring.create(self.keys / "keyring.json", utc_now())
            create_signing_keys(self.keys / "signing")
        self.keyring = LocalKeyring.load(self.keys / "keyring.json")
        self.trust = TrustedSigners.load(self.keys / "signing" / "trusted.json")
        self.manifest_signer = Signer.load(self.keys / "signing" / "manifest.pem")
        self.proof_signer = Signer.load(self.keys / "signing" / "proof.pem")
        # Short, because a scratch server's socket lies in it, and reachable for its user.
        # Tests let time pass by moving the clock.
        self.dump = DumpSettings(staging=self.folder / "staging", clock_tolerance=timedelta(days=9))
        self.verify = VerifySettings(scratch=self.folder / "staging", hide=[self.keys])

    @property
    def repositories(self) -> list[Repository]:
        return [self.repository(name) for name in self.storages]

    def repository(self, name: str) -> Repository:
        storage = self.storages[name]
        return Repository(name, storage, Catalog(storage, self.target, trust=self.trust))

    def back_up(self, **changes: Any) -> BackupReport:
        """``back-up-database``; keyword arguments replace the command's."""
        return back_up_database(
            **{
                "target": self.target,
                "source": self.source,
                "repositories": self.repositories,
                "keyring": self.keyring,
                "signer": self.manifest_signer,
                "settings": self.dump,
                "clock": self.clock,
                "holder": "test",
                "progress": Silent(),
                **changes,
            }
        )

    def prove(self, label: str, repository: str = "local", **changes: Any) -> Proof:
        """``verify`` of one backup in one repository."""
        return verify_backup(
            **{
                "repository": self.repository(repository),
                "label": BackupLabel(label),
                "keyring": self.keyring,
                "signer": self.proof_signer,
                "settings": self.verify,
                "clock": self.clock,
                "progress": Silent(),
                **changes,
            }
        )

    def restore(
        self, label: str, *, server: ClusterConnection, repository: str = "local", **settings: Any
    ) -> DatabaseRestore:
        """``restore-database`` of one backup; keyword arguments go into its settings."""
        return DatabaseRestore(
            repository=self.repository(repository),
            label=BackupLabel(label),
            server=server,
            keyring=self.keyring,
            settings=replace(
                RestoreSettings(
                    scratch=self.folder / "staging", database=self.source.dbname, reader=self.source
                ),
                **settings,
            ),
            clock=self.clock,
            progress=Silent(),
        )

    def published(self) -> dict[str, list[str]]:
        """Labels by repository, of what can be listed."""
        return {
            one.name: [found.manifest.label.text for found in one.catalog.backups().backups]
            for one in self.repositories
        }


def protect(folder: Path, source: ClusterConnection, **storages: Storage) -> Protection:
    """A protection with a directory ``local``, and whatever else is given."""
    local = PosixStorage(folder / "repository")
    return Protection(folder=folder, source=source, storages={"local": local, **storages})


def s3_corner(seaweedfs: EmbeddedSeaweedFS) -> S3Storage:
    """A prefix of the shared bucket that nobody else uses."""
    key = Credential(
        conn_id="tests_s3", conn_type="aws", login=seaweedfs.access_key, password=seaweedfs.secret_key
    )
    client = s3_client(key, endpoint_url=seaweedfs.endpoint_url)
    return S3Storage(client, bucket="backstop-tests", prefix=f"test-{secrets.token_hex(6)}")
