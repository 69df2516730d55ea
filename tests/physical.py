"""Base backups for tests of whole commands: taken, laid out with tar, and started."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.base.backup import take_base_backup
from backstop.commands.base.settings import BaseBackupSettings
from backstop.commands.database.fetch import fetch_object
from backstop.commands.progress import Silent
from backstop.model.backup import BackupKind, BackupLabel
from embedded.accounts import postgres_account
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.commands.backup_report import BaseBackupReport
    from tests.protection import Protection

DISTRIBUTION = Path("/usr/lib/postgresql/15/bin")
# Small, so that even these clusters are cut into several parts.
PART_BYTES = 4 * 1024 * 1024


def bin_dir_of(major: int) -> Path:
    """15 is the distribution's; the others come from pip."""
    return DISTRIBUTION if major == 15 else pip_postgres_bin(major)


def server_of(folder: Path, major: int, **settings: str) -> EmbeddedPostgres:
    """A server of one's own. Of a version that is not here, the test is skipped."""
    if not (bin_dir_of(major) / "postgres").exists():
        pytest.skip(f"needs Debian's postgresql-{major}")
    # Copies recover with WAL from its own pg_wal: nothing may be recycled. Only tests change files.
    settings = {"wal_keep_size": "8GB", "autovacuum": "off", **settings}
    return EmbeddedPostgres(
        folder, bin_dir=bin_dir_of(major), settings=settings, durable=False, die_with_parent=True
    )


@contextmanager
def damaged_table(server: EmbeddedPostgres) -> Iterator[str]:
    """A table with a bit flipped in its second page, on disk alone.

    :returns: its file, in the data directory.
    """
    with server.connect() as session:
        session.execute("CREATE TABLE damaged AS SELECT n, md5(n::text) FROM generate_series(1, 1000) n")
        session.execute("CHECKPOINT")
        (path,) = session.execute("SELECT pg_relation_filepath('damaged')").fetchone()
    file = server.data / path
    whole = file.read_bytes()
    file.write_bytes(whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:])
    try:
        yield path
    finally:
        file.write_bytes(whole)
        with server.connect() as session:
            session.execute("DROP TABLE damaged")


@dataclass
class BaseBackups:
    """Base backups of one server into a protection's repositories."""

    protection: Protection
    server: EmbeddedPostgres
    settings: BaseBackupSettings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = BaseBackupSettings(staging=self.protection.folder / "staging", part_bytes=PART_BYTES)

    def take(self, kind: BackupKind = BackupKind.FULL, **changes: Any) -> BaseBackupReport:
        """``take-base-backup``; keyword arguments replace the command's."""
        protection = self.protection
        return take_base_backup(
            **{
                "target": protection.target,
                "cluster": self.server.connection(),
                "repositories": protection.repositories,
                "keyring": protection.keyring,
                "signer": protection.manifest_signer,
                "settings": self.settings,
                "kind": kind,
                "clock": protection.clock,
                "holder": "test",
                "progress": Silent(),
                **changes,
            }
        )

    def stored_data(self) -> list[str]:
        """Every payload object, whoever names it."""
        storage = self.protection.storages["local"]
        return [info.key for info in storage.list(f"{self.protection.target}/data/")]

    def leftovers(self) -> list[Path]:
        """What lies in the staging folder."""
        return list(self.settings.staging.iterdir())

    def nothing_is_left(self) -> bool:
        """Nothing was published, and nothing is left of it."""
        return (
            self.protection.published()["local"] == [] and self.stored_data() == [] and self.leftovers() == []
        )

    def lay_out(self, label: str, data: Path, *, repository: str = "local") -> dict[str, Path]:
        """One backup's files below ``data``, by tar alone; tablespaces beside it.

        :returns: the tablespaces' new places, by oid.
        """
        found = self.protection.repository(repository)
        manifest = found.catalog.backup(BackupLabel(label)).manifest
        data.mkdir(mode=0o700, parents=True)
        part = data.parent / f"{data.name}.part"
        places: dict[str, Path] = {}
        # The data directory first: its links say where the others go.
        for stored in sorted(manifest.objects, key=lambda stored: not stored.name.startswith("base/")):
            tablespace = stored.name.split("/")[0]
            to = data
            if stored.layout == "base" and tablespace != "base":
                to = places.setdefault(tablespace, data.parent / f"{data.name}-{tablespace}")
                to.mkdir(mode=0o700, exist_ok=True)
            fetch_object(
                found,
                manifest,
                stored,
                keyring=self.protection.keyring,
                destination=part if stored.layout == "base" else data / stored.name,
                progress=Silent(),
            )
            if stored.layout == "base":
                subprocess.run(["tar", "-xf", part, "-C", to, "--no-same-owner"], check=True)
                part.unlink()
        for oid, place in places.items():
            link = data / "pg_tblspc" / oid
            link.unlink()
            link.symlink_to(place)
        return places

    def start(self, data: Path) -> EmbeddedPostgres:
        """Recover what was laid out in ``<somewhere>/data``, with WAL from the source's own ``pg_wal``.

        The caller starts and stops it with ``with``.
        """
        folder = data.parent
        copy = EmbeddedPostgres(
            folder,
            bin_dir=self.server.bin_dir,
            settings={
                "restore_command": f"cp {self.server.data}/pg_wal/%f %p",
                "archive_mode": "off",
            },
            durable=False,
            die_with_parent=True,
        )
        (data / "recovery.signal").touch()
        shutil.copy(self.server.directory / "passwords.json", folder)
        (folder / "initialized").touch()
        account = postgres_account(self.server.directory, self.server.bin_dir)
        for path in [data, *folder.glob(f"{data.name}-*")]:
            account.own(path)
            for below in path.rglob("*"):
                if not below.is_symlink():
                    account.own(below)
        return copy


def combine(server: EmbeddedPostgres, backups: list[Path], into: Path) -> None:
    """``pg_combinebackup`` of a full backup and what builds on it."""
    subprocess.run(
        [server.bin_dir / "pg_combinebackup", *backups, "-o", into],
        check=True,
        capture_output=True,
    )
