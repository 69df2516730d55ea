"""Clusters to bring back: a source under way, its base backup, its WAL in a directory, its commits."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn
from backstop.postgres.tools import PostgresTools

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from backstop.postgres.isolation import Isolation
    from embedded.postgres import EmbeddedPostgres


@dataclass
class Ledger:
    """Commits in a table ``ledger (n int)``, each with what the server said about it."""

    server: EmbeddedPostgres
    moments: dict[int, datetime] = field(default_factory=dict)
    positions: dict[int, Lsn] = field(default_factory=dict)
    transactions: dict[int, str] = field(default_factory=dict)

    def write(self, count: int = 1) -> None:
        with self.server.connect() as session:
            session.execute("CREATE TABLE IF NOT EXISTS ledger (n int)")
            for _ in range(count):
                n = len(self.moments) + 1
                with session.transaction():
                    session.execute("INSERT INTO ledger VALUES (%s)", [n])
                    row = session.execute("SELECT pg_current_xact_id()::text").fetchone()
                row2 = session.execute("SELECT clock_timestamp(), pg_current_wal_insert_lsn()").fetchone()
                assert row
                assert row2
                self.transactions[n] = row[0]
                self.moments[n], self.positions[n] = row2[0], Lsn.parse(row2[1])
                time.sleep(0.002)


@dataclass
class Source:
    """A running cluster whose WAL goes to ``wal`` (complete segments; ``.partial`` for the growing one)."""

    server: EmbeddedPostgres
    folder: Path

    def __post_init__(self) -> None:
        self.wal = self.folder / "wal"
        self.ledger = Ledger(self.server)
        self.tools = PostgresTools.find(self.major, server=True)

    @property
    def major(self) -> int:
        with self.server.connect() as session:
            return session.info.server_version // 10000

    def receive(self) -> None:
        """Start to receive WAL, from the beginning of the present segment."""
        self.wal.mkdir(exist_ok=True)
        with self.server.connect() as session:
            session.execute("SELECT pg_create_physical_replication_slot('tests', true)")
        self.receiver = subprocess.Popen(
            [
                "setpriv", "--pdeathsig", "KILL", "--",
                self.tools.path("pg_receivewal"), "--directory", str(self.wal), "--synchronous",
                "--slot=tests",
                "--status-interval=1", "--no-password", f"--dbname={self._dsn()}",
            ],
            stderr=(self.folder / "receiver.log").open("wb"),
        )  # fmt: skip
        while not any(self.wal.iterdir()):
            time.sleep(0.05)

    def caught_up(self) -> Lsn:
        """Wait until all WAL written by now is in the directory; returns where it ends."""
        with self.server.connect() as session:
            session.execute("SELECT pg_logical_emit_message(false, 'tests', 'end')")
            session.execute("SET synchronous_commit = on")
            session.execute("SELECT pg_logical_emit_message(true, 'tests', 'flush')")
            end = Lsn.parse(session.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0])
            give_up = time.monotonic() + 20
            while time.monotonic() < give_up:
                done = session.execute(
                    "SELECT bool_and(flush_lsn >= %s::pg_lsn) FROM pg_stat_replication "
                    "WHERE application_name = 'pg_receivewal'",
                    [str(end)],
                ).fetchone()
                if done and done[0]:
                    return end
                time.sleep(0.05)
            seen = session.execute("SELECT application_name, state, flush_lsn FROM pg_stat_replication")
            state = seen.fetchall()
        said = (self.folder / "receiver.log").read_text()
        raise AssertionError(f"pg_receivewal did not reach {end}: {state} {self.receiver.poll()} {said}")

    def switch(self) -> None:
        """Complete the present segment."""
        with self.server.connect() as session:
            session.execute("SELECT pg_switch_wal()")

    def stop_receiving(self) -> None:
        self.receiver.terminate()
        self.receiver.wait()

    def base_backup(self, destination: Path, *options: str) -> Path:
        """A plain base backup without WAL."""
        subprocess.run(
            [
                self.tools.path("pg_basebackup"), "--pgdata", str(destination), "--wal-method=none",
                "--checkpoint=fast", "--no-sync", "--no-password", f"--dbname={self._dsn()}", *options,
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        return destination

    def _dsn(self) -> str:
        way = self.server.connection()
        return f"host={way.host} port={way.port} user={way.user} password={way.password}"


def give(folder: Path, isolation: Isolation) -> None:
    """Make everything below it the server's own."""
    subprocess.run(["chown", "-R", str(isolation.owner), str(folder)], check=True)
    folder.chmod(0o700)


def start_of(data: Path) -> Lsn:
    """Where the recovery of a plain base backup begins."""
    line = (data / "backup_label").read_text().splitlines()[0]
    return Lsn.parse(line.split()[3])
