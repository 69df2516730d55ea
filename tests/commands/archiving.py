"""A server whose WAL is archived, and the comparison of both, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.commands.wal.archive import archive_wal
from backstop.commands.wal.settings import ArchiveSettings
from backstop.crypto.keyring import LocalKeyring
from backstop.model.lsn import Lsn, WalSegment
from backstop.postgres.connection import ClusterConnection
from backstop.repository.catalog import Catalog, Repository
from backstop.repository.wal_archive import WalArchive, archived_position
from backstop.storage.posix import PosixStorage
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backstop.commands.wal.state import ArchiverState
    from backstop.storage.base import Storage
    from embedded.postgres import EmbeddedPostgres

TARGET = "calibrify"
SLOT = "backstop_calibrify"
SEGMENT_BYTES = 16 * 1024**2
#: Everything stays in pg_wal, to be compared.
KEEP_WAL = {"wal_keep_size": "10GB", "max_wal_size": "4GB"}
CHECKOUT = Path(__file__).resolve().parents[2]


def wait_for(what: str, found: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return answer


class Archiver:
    """``archive_wal`` in a thread, while the ``with`` lasts."""

    def __init__(
        self,
        source: ClusterConnection,
        storages: Mapping[str, Storage],
        keyring: LocalKeyring,
        settings: ArchiveSettings,
        reading: Callable[[str], Storage] | None = None,
    ) -> None:
        self.states: list[ArchiverState] = []
        self.error: BaseException | None = None
        self.stop = threading.Event()
        repositories = [
            Repository(name, storage, Catalog(storage, TARGET, trust=None))  # type: ignore[arg-type]
            for name, storage in storages.items()
        ]

        def run() -> None:
            try:
                archive_wal(
                    target=TARGET,
                    cluster=source,
                    repositories=repositories,
                    keyring=keyring,
                    settings=settings,
                    clock=utc_now,
                    stop=self.stop,
                    on_state=self.states.append,
                    reading=reading,
                )
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=run, daemon=True)

    def __enter__(self) -> Archiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def failure(self, seconds: float = 30.0) -> BaseException:
        """What it ended with, by itself."""
        self._thread.join(seconds)
        assert not self._thread.is_alive()
        assert self.error is not None
        return self.error

    @property
    def state(self) -> ArchiverState:
        return wait_for("a state", lambda: self.states[-1:])[0]


class Protected:
    """A server and its repositories."""

    def __init__(self, folder: Path, server: EmbeddedPostgres, **storages: Storage) -> None:
        self.folder = folder
        self.server = server
        self.storages: dict[str, Storage] = {"local": PosixStorage(folder / "repository"), **storages}
        (folder / "keys").mkdir(mode=0o700, exist_ok=True)
        ring = folder / "keys" / "keyring.json"
        self.keyring = LocalKeyring.load(ring) if ring.exists() else LocalKeyring.create(ring, utc_now())
        self.settings = ArchiveSettings(spool=folder / "spool", longest_pause=timedelta(seconds=1))

    def archiver(self, settings: ArchiveSettings | None = None) -> Archiver:
        return Archiver(self.server.connection(), self.storages, self.keyring, settings or self.settings)

    def process(self) -> subprocess.Popen[bytes]:
        """``archive_wal`` in a process of its own, into the directory ``local``."""
        source = self.server.connection()
        told = {
            "host": source.host, "port": source.port, "user": source.user, "dbname": source.dbname,
            "password": source.password, "repository": str(self.folder / "repository"),
            "keyring": str(self.folder / "keys" / "keyring.json"), "spool": str(self.folder / "spool"),
        }  # fmt: skip
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{CHECKOUT / 'plugins'}:{CHECKOUT}",
            "ARCHIVER": json.dumps(told),
        }
        return subprocess.Popen([sys.executable, "-m", "tests.commands.archiving"], env=environment, cwd="/")

    def archive(self, name: str = "local") -> WalArchive:
        return WalArchive(self.storages[name], TARGET, self.system_id)

    @property
    def system_id(self) -> str:
        return str(self.ask("SELECT system_identifier FROM pg_control_system()"))

    def ask(self, query: str) -> Any:
        with self.server.connect() as session:
            row = session.execute(query).fetchone()  # type: ignore[arg-type]
            assert row is not None
            return row[0]

    def run(self, *statements: str) -> None:
        with self.server.connect() as session:
            for statement in statements:
                session.execute(statement)  # type: ignore[arg-type]

    def write_wal(self, segments: float = 1.0) -> None:
        """Some rows, about so many segments of WAL."""
        self.run(
            "CREATE TABLE IF NOT EXISTS filling (content text)",
            "INSERT INTO filling SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 50) g, "
            f"generate_series(1, {int(9000 * segments)}) AS row GROUP BY row",
        )

    def position(self) -> Lsn:
        return Lsn.parse(self.ask("SELECT pg_current_wal_flush_lsn()"))

    def timeline(self) -> int:
        return int(self.ask("SELECT timeline_id FROM pg_control_checkpoint()"))

    def slot_position(self) -> Lsn:
        return Lsn.parse(self.ask(f"SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = '{SLOT}'"))

    def archived_from(self, name: str = "local", *, timeline: int = 1) -> Lsn:
        """The start of the first segment that is archived, whole or growing."""
        archive = self.archive(name)
        names = [stored.segment for stored in archive.segments(timeline)]
        names += [delta.segment for delta in archive.tails(timeline)]
        return WalSegment.parse(min(names), size_bytes=SEGMENT_BYTES).start

    def archived_until(self, name: str = "local", *, timeline: int = 1) -> Lsn:
        """The end of what is archived, without a gap from the first segment on."""
        try:
            start = self.archived_from(name, timeline=timeline)
        except ValueError:
            return Lsn(0)
        return archived_position(
            self.archive(name), timeline=timeline, segment_bytes=SEGMENT_BYTES, start=start
        )

    def wait_until_archived(self, position: Lsn, name: str = "local", *, timeline: int = 1) -> None:
        wait_for(
            f"WAL up to {position} in {name}",
            lambda: self.archived_until(name, timeline=timeline) >= position,
            seconds=60,
        )

    def compare(self, name: str = "local", *, timeline: int = 1, until: Lsn | None = None) -> int:
        """Assert that every byte archived is the server's, from the first on and without a gap.

        :param until: and that it goes so far.
        :returns: how many segments were compared.
        """
        archive = self.archive(name)
        segment = WalSegment.containing(
            self.archived_from(name, timeline=timeline), timeline=timeline, size_bytes=SEGMENT_BYTES
        )
        end = self.archived_until(name, timeline=timeline)
        assert until is None or end >= until, f"{name} ends at {end}, not at {until}"
        compared = 0
        with tempfile.TemporaryDirectory() as folder:
            while segment.end <= end:
                fetched = Path(folder) / segment.name
                archive.fetch_segment(segment, fetched, keyring=self.keyring)
                assert fetched.read_bytes() == self.on_server(segment), f"{segment} differs"
                fetched.unlink()
                segment, compared = segment.next(), compared + 1
        tail = archive.read_tail(segment, keyring=self.keyring)
        assert tail == (self.on_server(segment)[: len(tail)] if tail else b"")
        # An idle server writes, too, every quarter of a minute, and what receives it may be running.
        assert segment.start + len(tail) >= end
        return compared

    def on_server(self, segment: WalSegment) -> bytes:
        return (self.server.data / "pg_wal" / segment.name).read_bytes()


def main() -> None:
    """The process that tests kill."""
    told = json.loads(os.environ["ARCHIVER"])
    storage = PosixStorage(Path(told["repository"]))
    archive_wal(
        target=TARGET,
        cluster=ClusterConnection(
            told["host"], told["port"], told["user"], told["dbname"], password=told["password"]
        ),
        repositories=[Repository("local", storage, Catalog(storage, TARGET, trust=None))],  # type: ignore[arg-type]
        keyring=LocalKeyring.load(Path(told["keyring"])),
        settings=ArchiveSettings(spool=Path(told["spool"]), longest_pause=timedelta(seconds=1)),
        clock=utc_now,
        stop=threading.Event(),
        on_state=lambda _: None,
    )


if __name__ == "__main__":
    main()
