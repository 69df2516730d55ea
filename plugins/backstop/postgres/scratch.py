"""A temporary PostgreSQL server of one's own: made for one restore, isolated, and gone afterwards."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import stat
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from backstop.errors import ScratchError
from backstop.postgres.connection import ClusterConnection
from backstop.postgres.isolation import Isolation, run_isolated, shared_library_directories

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

_PREFIX = "backstop-scratch-"
_LOCK_FILE = "owner.lock"
_PORT = 5432
# sockaddr_un.sun_path holds 107 bytes and a terminator (unix(7)); PostgreSQL adds ".lock" to a sibling only.
_SOCKET_PATH_BYTES = 107
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0

# On the command line, so that nothing restored, generated or set by ALTER SYSTEM has precedence.
_SETTINGS = {
    # Nobody but us reaches it, and it reaches nobody.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "archive_mode": "off",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "shared_preload_libraries": "",
    "ssl": "off",
    # It lives for one restore: nothing needs to survive a crash.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "jit": "off",
    # Index builds want memory; a restore has few sessions, but may lock tens of thousands of tables.
    "shared_buffers": "128MB",
    "maintenance_work_mem": "256MB",
    "max_connections": "40",
    "max_locks_per_transaction": "2048",
    "huge_pages": "off",
    "timezone": "UTC",
    # Rows and statements (role passwords among them) stay out of the log.
    "logging_collector": "off",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class ScratchCluster:
    """An empty cluster of exactly one major version, running inside the ``with`` block.

    :param bin_dir: where ``initdb`` and ``postgres`` of that version are.
    :param parent: existing directory for everything it writes; needs room for the whole restored database.
    :param superuser: name of its bootstrap superuser: the source's, so that what it owns restores.
    :param hide: secrets-bearing places that must stay invisible even where system directories hold them.
    :param encoding: of the source's database. Names of roles belong to no database and have no encoding of
        their own: what they are in one database, they are only in others of the same encoding.
    :param settings: server settings that override the built-in ones.
    """

    def __init__(
        self,
        major: int,
        *,
        bin_dir: Path,
        parent: Path,
        isolation: Isolation,
        superuser: str = "postgres",
        hide: Sequence[Path] = (),
        encoding: str = "UTF8",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.major = major
        self.isolation = isolation
        self.superuser = superuser
        self.settings = {**_SETTINGS, **({"io_method": "sync"} if major >= 18 else {}), **(settings or {})}
        self._bin_dir = bin_dir.resolve()
        self._parent = parent.resolve()
        self._hide = tuple(hide)
        self._encoding = encoding
        self._exit = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ScratchCluster:
        with self._exit:
            self.directory = self._exit.enter_context(_owned_directory(self._parent))
            self._sockets = _socket_directory(self.directory)
            self._prepare()
            self._initialise()
            self._exit.callback(self._stop)
            self._start()
            # Everything went well: what was collected is for __exit__ to undo.
            self._exit = self._exit.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def connection(self, dbname: str = "postgres") -> ClusterConnection:
        """Its superuser's way in: a socket that only this worker's user can reach."""
        self._check_socket()
        return ClusterConnection(host=str(self._sockets), port=_PORT, user=self.superuser, dbname=dbname)

    def log_tail(self, size_bytes: int = 4000) -> str:
        """The end of the server's log."""
        log = self.directory / "server.log"
        if not log.exists():
            return ""
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - size_bytes))
            return stream.read().decode(errors="replace").strip()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _prepare(self) -> None:
        """Make what the server writes to."""
        (self.directory / "root").mkdir()
        for place in (self._data, self._sockets):
            place.mkdir(mode=0o700)
            if self.isolation.owner != os.geteuid():
                os.chown(place, self.isolation.owner, self.isolation.owner)
        if self.isolation.kind == "none":
            # Without a file system of its own the server walks through the directory to its data.
            self.directory.chmod(0o711)

    def _initialise(self) -> None:
        argv = [
            str(self._bin_dir / "initdb"),
            f"--pgdata={self._data}",
            f"--username={self.superuser}",
            "--auth-local=trust",
            "--auth-host=reject",
            # The restored database brings its own locale; for the rest, what every build has.
            f"--encoding={self._encoding}",
            "--no-locale",
            "--no-sync",
            *(["--no-instructions"] if self.major >= 14 else []),
            *(["--no-data-checksums"] if self.major >= 18 else []),
        ]
        attempt = run_isolated(self._isolated(argv), timeout=_START_SECONDS)
        if attempt.returncode != 0:
            raise ScratchError(
                f"initdb of PostgreSQL {self.major} failed in {self.directory}: {_complaint(attempt.stderr)}",
                hint="check free space there, and that the programs in "
                f"{self._bin_dir} can be read by other users",
            )

    def _start(self) -> None:
        settings = {**self.settings, "unix_socket_directories": str(self._sockets)}
        argv = [str(self._bin_dir / "postgres"), "-D", str(self._data), "-p", str(_PORT)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        with (self.directory / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                self._isolated(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={},
                cwd="/",
                start_new_session=True,
            )
        self._await_ready(self._server)
        # What is restored from now on may run code. It must not be able to put another server's socket,
        # or a link to one, where we are going to connect.
        self._seal(self._server)

    def _isolated(self, program: Sequence[str]) -> list[str]:
        libraries = {
            directory
            for name in ("initdb", "postgres")
            for directory in shared_library_directories(self._bin_dir / name)
        }
        return self.isolation.argv(
            program,
            root=self.directory / "root",
            writable=[self._data],
            sealed=[self._sockets],
            readable=[self._bin_dir.parent, *sorted(libraries)],
            hide=self._hide,
        )

    def _await_ready(self, server: subprocess.Popen[bytes]) -> None:
        from psycopg import pq
        from psycopg.conninfo import make_conninfo

        target = make_conninfo(
            host=str(self._sockets), port=_PORT, dbname="postgres", user=self.superuser
        ).encode()
        deadline = time.monotonic() + _START_SECONDS
        while pq.PGconn.ping(target) != pq.Ping.OK:
            if server.poll() is not None:
                raise self._failed(f"exited with status {server.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"did not accept connections within {_START_SECONDS:.0f} s")
            time.sleep(0.02)

    def _seal(self, server: subprocess.Popen[bytes]) -> None:
        life_line, answers = _pipes(server)
        life_line.write(b"seal\n")
        life_line.flush()
        readable, _, _ = select.select([answers], [], [], _START_SECONDS)
        if not readable or answers.readline() != b"sealed\n":
            raise self._failed("could not be sealed off")

    def _check_socket(self) -> None:
        path = self._sockets / f".s.PGSQL.{_PORT}"
        mode = path.lstat().st_mode if path.is_socket() or path.is_symlink() else 0
        if not stat.S_ISSOCK(mode):
            raise self._failed("has no socket any more")

    def _failed(self, what: str) -> ScratchError:
        return ScratchError(
            f"scratch server (PostgreSQL {self.major}) in {self.directory} {what}: "
            f"{_complaint(self.log_tail().encode()) or 'its log is empty'}",
            hint="see the message; free memory and space on this worker, then try again",
        )

    def _stop(self) -> None:
        """End everything inside. Nothing in there is worth an orderly shutdown."""
        server = self._server
        if server is None:
            return
        life_line, answers = _pipes(server)
        life_line.close()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        answers.close()
        self._server = None


def sweep_leftovers(parent: Path) -> list[Path]:
    """Remove what scratch clusters of dead processes left in ``parent``; returns what was removed.

    Their servers are gone already: they end with the process that started them.
    """
    removed: list[Path] = []
    if not parent.exists():
        return removed
    with _locked(parent):
        for directory in sorted(parent.resolve().glob(f"{_PREFIX}*")):
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            with (directory / _LOCK_FILE).open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                _remove(directory)
            removed.append(directory)
    return removed


@contextmanager
def _owned_directory(parent: Path) -> Iterator[Path]:
    """A new directory in ``parent`` that carries our lock, so that a sweep can tell whether we live."""
    with ExitStack() as stack:
        # For a sweep, creating and locking are one step.
        with _locked(parent):
            directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            stack.callback(_remove, directory)
            lock = stack.enter_context((directory / _LOCK_FILE).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield directory


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _socket_directory(directory: Path) -> Path:
    """Inside ``directory`` unless the path were too long for a socket; then a short one derived from it."""
    sockets = directory / "socket"
    if len(os.fsencode(sockets / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_BYTES:
        return sockets
    return Path("/tmp") / f"backstop-socket-{directory.name.removeprefix(_PREFIX)}"  # noqa: S108 created 0700


def _remove(directory: Path) -> None:
    """Remove a scratch directory and its sockets; rmtree follows no link that was planted in there."""
    for place in (_socket_directory(directory), directory):
        if place.exists():
            shutil.rmtree(place)


def _pipes(server: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if server.stdin is None or server.stdout is None:
        raise RuntimeError("the server was started without pipes")
    return server.stdin, server.stdout


def _complaint(output: bytes) -> str:
    """The line that says what is wrong: the first error, or failing that the last line."""
    lines = output.decode(errors="replace").strip().splitlines()
    errors = (line for line in lines if re.search(r"FATAL:|PANIC:|ERROR:|error:", line))
    return next(errors, lines[-1] if lines else "")
