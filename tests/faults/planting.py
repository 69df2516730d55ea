"""Planting a fault into a whole command: something to back up, moments to act at, a look around."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
import traceback
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from embedded.postgres import pip_postgres_bin
from tests.faults.s3_proxy import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from tests.protection import Protection

# Three tables, one of them of bytes that do not compress: several 1 MiB frames of an object.
SAMPLE = """
CREATE TABLE equipment (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
INSERT INTO equipment (name) SELECT 'gauge ' || n FROM generate_series(1, 300) n;
CREATE TABLE measurements (equipment bigint REFERENCES equipment, value numeric);
INSERT INTO measurements SELECT 1 + n % 300, n / 7.0 FROM generate_series(1, 2000) n;
CREATE TABLE certificates (id int PRIMARY KEY, scan bytea);
INSERT INTO certificates SELECT n,
    (SELECT string_agg(sha512(convert_to(n || '-' || m, 'UTF8')), '') FROM generate_series(1, 16) m)
FROM generate_series(1, 3500) n;
"""
TABLES = ("equipment", "measurements", "certificates")


def fill(database: ClusterConnection, script: str = SAMPLE) -> None:
    with database.connect() as session:
        session.execute("RESET search_path")
        session.execute(script.encode())


def rows(database: ClusterConnection) -> dict[str, int | None]:
    """Rows by table, None where the table is gone."""
    found: dict[str, int | None] = {}
    with database.connect() as session:
        for table in TABLES:
            there = session.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchone()
            if there == (True,):
                row = session.execute(f"SELECT count(*) FROM public.{table}").fetchone()
            found[table] = row[0] if there == (True,) and row else None
    return found


def our_sessions(database: ClusterConnection) -> int:
    """How many sessions of a backup the server has in this database."""
    with database.connect(application_name="look") as session:
        row = session.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'backstop%'"
        ).fetchone()
    return row[0] if row else 0


def assert_nothing_left(protection: Protection) -> None:
    """No staging, no scratch, no program of ours, no session of ours on the source."""
    staging = protection.folder / "staging"
    left = sorted(path.name for path in staging.iterdir()) if staging.exists() else []
    assert left == []
    # A server's own session may take a moment to notice that its client is gone.
    wait_until(lambda: our_sessions(protection.source) == 0)
    assert programs("pg_dump", "pg_dumpall", "pg_restore") == []


def payload(protection: Protection, name: str = "local") -> list[str]:
    """Keys of all payload objects of the target in one repository."""
    return [info.key for info in protection.storages[name].list(f"{protection.target}/data/")]


def programs(*names: str) -> list[psutil.Process]:
    """Our running descendants of these names."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() in names and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@dataclass
class Gate:
    """A program of PostgreSQL's that waits at its start until it is let through; the real one otherwise.

    With pg_dump the snapshot is held by then and nothing is read yet; with pg_restore the database is there
    and empty. BACKSTOP_PG_BIN may name the folder.

    :param argument: runs with this among their arguments wait.
    """

    bin_dir: Path
    program: str = "pg_dump"
    argument: str = "--snapshot="

    def __post_init__(self) -> None:
        self.bin_dir.mkdir()
        real = pip_postgres_bin()
        for program in ("pg_dump", "pg_dumpall", "pg_restore"):
            if program != self.program:
                (self.bin_dir / program).symlink_to(real / program)
        self.path.write_text(
            f"""#!/bin/sh
case "$*" in
*{self.argument}*)
    : > '{self.bin_dir}'/arrived.$$
    while [ ! -e '{self.bin_dir}'/open ]; do sleep 0.02; done
esac
exec '{real}'/{self.program} "$@"
"""
        )
        self.path.chmod(0o755)

    @property
    def path(self) -> Path:
        return self.bin_dir / self.program

    def arrivals(self) -> list[int]:
        """Process ids of the runs that have come this far."""
        return [int(path.suffix[1:]) for path in self.bin_dir.glob("arrived.*")]

    def await_arrival(self, count: int = 1) -> None:
        wait_until(lambda: len(self.arrivals()) >= count, seconds=30)

    def open(self) -> None:
        (self.bin_dir / "open").touch()


@dataclass
class SmallDisk:
    """A file system of its own, in memory."""

    path: Path

    def mount(self, size_bytes: int) -> None:
        options = f"size={size_bytes},mode=0711"
        self._run("mount", "-t", "tmpfs", "-o", options, "backstop-test", str(self.path))

    def resize(self, size_bytes: int) -> None:
        self._run("mount", "-o", f"remount,size={size_bytes}", str(self.path))

    def fill_up(self) -> None:
        with (self.path / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(1024 * 1024))

    def unmount(self) -> None:
        self._run("umount", "--lazy", str(self.path))

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, check=True, capture_output=True)


def in_background(call: Callable[[], Any]) -> Future[Any]:
    """Run a command in another thread, which nobody has to wait for when the test fails."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


@dataclass
class Forked:
    """A command in a process of its own, which can be killed like a worker."""

    call: Callable[[], Any]
    pid: int = field(init=False)

    def __post_init__(self) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.call()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)

    def kill(self) -> None:
        """kill -9, and wait until it is gone with everything it started."""
        family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        os.kill(self.pid, signal.SIGKILL)
        self.wait()
        _, alive = psutil.wait_procs(family[1:], timeout=10)
        assert alive == [], "programs outlived the process that started them"

    def wait(self) -> int:
        """Its exit status; minus the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Application:
    """A session that keeps asking a table for something, and knows how long it had to wait at most."""

    def __init__(self, database: ClusterConnection, query: str) -> None:
        self._session = database.connect(application_name="application")
        self._query = query
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.longest_seconds = 0.0
        self.answers = 0

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Application:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._session.close()

    def _ask(self) -> None:
        while not self._stop.wait(0.02):
            began = time.monotonic()
            self._session.execute(self._query.encode())
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
            self.answers += 1


def seconds_of(database: ClusterConnection, statement: str) -> float:
    """How long the application waits for one statement."""
    with database.connect(application_name="application") as session:
        began = time.monotonic()
        session.execute(statement.encode())
        return time.monotonic() - began


def exclusive_lock(table: str) -> str:
    """What a migration does, for a moment."""
    return f"BEGIN; LOCK TABLE public.{table} IN ACCESS EXCLUSIVE MODE; COMMIT"


def flip(path: Path, *, at: int = -1) -> None:
    """Turn over one bit in the middle of a file, or at the given offset."""
    body = bytearray(path.read_bytes())
    body[len(body) // 2 if at < 0 else at] ^= 1
    path.write_bytes(bytes(body))
