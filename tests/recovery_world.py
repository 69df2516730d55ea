"""A protected cluster that archives WAL, and its point-in-time recoveries, for tests of whole commands."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.commands.progress import Silent
from backstop.commands.recovery.recover import PointInTimeRestore, RecoverSettings
from backstop.model.lsn import WalSegment
from backstop.model.recovery import RecoveryTarget
from backstop.repository.wal_archive import WalArchive
from backstop.repository.wal_sealing import seal_delta, seal_history, seal_segment
from embedded.postgres import EmbeddedPostgres
from tests.physical import DISTRIBUTION, BaseBackups, bin_dir_of
from tests.protection import protect, utc_now
from tests.recovering import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "nobody" if os.geteuid() == 0 else ""


class World:
    """A protected cluster that archives WAL, and its point-in-time recoveries."""

    def __init__(self, folder: Path, server: EmbeddedPostgres) -> None:
        self.folder = folder
        self.source = Source(server, folder)
        self.protection = protect(folder, server.connection())
        self.backups = BaseBackups(self.protection, server)
        self.out = folder / "restored"
        self.out.mkdir(mode=0o755)
        self.out.chmod(0o755)

    def ship(self, *, tail: bool = True) -> None:
        """Everything that was received goes into the repository."""
        self.source.caught_up()
        with self.source.server.connect() as session:
            system_id = str(
                session.execute("SELECT system_identifier FROM pg_control_system()").fetchone()[0]
            )
        for storage in self.protection.storages.values():
            self._ship(WalArchive(storage, self.protection.target, system_id), tail=tail)

    def _ship(self, archive: WalArchive, *, tail: bool) -> None:
        keyring = self.protection.keyring
        for path in sorted(self.source.wal.iterdir()):
            if path.suffix == ".history":
                archive.put(
                    seal_history(archive.names, int(path.stem, 16), path.read_bytes(), keyring=keyring)
                )
            elif path.suffix == ".partial" and path.exists():
                if tail:
                    self._ship_tail(archive, path)
            else:
                # What was growing may have become whole since it was listed.
                self._ship_segment(archive, path.with_suffix(""))

    def _ship_tail(self, archive: WalArchive, path: Path) -> None:
        segment, keyring = WalSegment.parse(path.stem), self.protection.keyring
        data = path.read_bytes().rstrip(b"\0")
        # A record may end in zeros, which are its own: a server sends whole ones.
        data += bytes(-len(data) % 8 + 64)
        half = len(data) // 2
        for offset, piece in ((0, data[:half]), (half, data[half:])):
            archive.put(seal_delta(archive.names, segment, offset_bytes=offset, data=piece, keyring=keyring))

    def _ship_segment(self, archive: WalArchive, path: Path) -> None:
        sealed = self.folder / "sealed"
        with path.open("rb") as stream:
            segment = WalSegment.parse(path.name)
            found = seal_segment(archive.names, segment, stream, sealed, keyring=self.protection.keyring)
        archive.put(found)
        sealed.unlink(missing_ok=True)

    def restore(self, repository: str = "local", **changes) -> PointInTimeRestore:
        settings = RecoverSettings(destination=self.out / "clone", account=ACCOUNT)
        return PointInTimeRestore(
            repository=self.protection.repository(repository),
            target=self.protection.target,
            keyring=self.protection.keyring,
            settings=replace(settings, **changes),
            clock=utc_now,
            progress=Silent(),
        )

    def recover(self, goal: str, *, inclusive: bool = True, repository: str = "local", **changes):
        restore = self.restore(repository, **changes)
        return restore.run(restore.plan(RecoveryTarget.parse(goal, inclusive=inclusive)))

    def ledger(self, data: Path) -> list[int]:
        """What a clone's ledger holds, read in single-user mode."""
        single = subprocess.run(
            [
                *(["setpriv", "--reuid", ACCOUNT, "--clear-groups", "--"] if ACCOUNT else []),
                str(self.source.tools.bin_dir / "postgres"), "--single", "-D", str(data), "postgres",
            ],
            input="SELECT n FROM ledger ORDER BY n\n", capture_output=True, text=True, check=True,
        )  # fmt: skip
        lines = [line for line in single.stdout.splitlines() if 'n = "' in line]
        return [int(line.split('n = "')[1].split('"')[0]) for line in lines]

    def untouched(self) -> bool:
        """Whether nothing is left of a recovery that failed."""
        return [path for path in self.out.rglob("*") if path != self.out / ".backstop"] == []


@contextmanager
def running_world(folder: Path, major: int, **settings: str) -> Iterator[World]:
    """One whose WAL is received, until the end."""
    summarize = {"wal_level": "logical", "summarize_wal": "on"} if major >= 17 else {}
    with EmbeddedPostgres(
        folder / "pg",
        bin_dir=bin_dir_of(major),
        durable=False,
        die_with_parent=True,
        settings={**summarize, **settings},
    ) as server:
        world = World(folder, server)
        world.source.receive()
        yield world
        world.source.stop_receiving()


_DISTRIBUTION = pytest.param(
    15,
    marks=[
        pytest.mark.system,
        pytest.mark.skipif(not (DISTRIBUTION / "postgres").exists(), reason="needs PostgreSQL 15"),
    ],
)
#: For tests that shall also run on the distribution's PostgreSQL, the oldest that recovery knows.
ALSO_15 = pytest.mark.parametrize("world", [18, 16, _DISTRIBUTION], indirect=True)
#: For tests that want extensions, which come with it alone.
ONLY_15 = pytest.mark.parametrize("world", [_DISTRIBUTION], indirect=True)


def numbers(last: int) -> list[int]:
    return list(range(1, last + 1))
