"""A temporary PostgreSQL server of one's own: made for one restore, isolated, and gone afterwards."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import ScratchError
from backstop.postgres.isolated_server import IsolatedServer, complaint, socket_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.isolation import Isolation

_PREFIX = "backstop-scratch-"
_LOCK_FILE = "owner.lock"
_INITDB_SECONDS = 60.0

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
        self.settings = {**scratch_settings(major), **(settings or {})}
        self._bin_dir = bin_dir.resolve()
        self._parent = parent.resolve()
        self._hide = tuple(hide)
        self._encoding = encoding
        self._exit = ExitStack()

    def __enter__(self) -> ScratchCluster:
        with self._exit:
            self.directory = self._exit.enter_context(_owned_directory(self._parent))
            self._sockets = socket_directory(self.directory, _PREFIX)
            self._prepare()
            self._server = IsolatedServer(
                self.major,
                bin_dir=self._bin_dir,
                data=self._data,
                folder=self.directory,
                sockets=self._sockets,
                isolation=self.isolation,
                superuser=self.superuser,
                settings=self.settings,
                hide=self._hide,
            )
            self._initialise()
            self._exit.callback(self._server.stop)
            self._server.start()
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
        return self._server.connection(dbname)

    def log_tail(self, size_bytes: int = 4000) -> str:
        """The end of the server's log."""
        return self._server.log_tail(size_bytes)

    def keep(self, destination: Path) -> None:
        """End the server in good order, and give its data directory away: it is not removed then.

        :param destination: a new directory on the same file system.
        :raises ScratchError: it did not end well.
        """
        self._server.shut_down()
        self._data.rename(destination)

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
        attempt = self._server.run(
            "initdb",
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
            timeout=_INITDB_SECONDS,
        )
        if attempt.returncode != 0:
            raise ScratchError(
                f"initdb of PostgreSQL {self.major} failed in {self.directory}: {complaint(attempt.stderr)}",
                hint="check free space there, and that the programs in "
                f"{self._bin_dir} can be read by other users",
            )


def scratch_settings(major: int) -> dict[str, str]:
    """What a scratch server runs with; also for one that is started again on what it left."""
    return {**_SETTINGS, **({"io_method": "sync"} if major >= 18 else {})}


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


def left_behind(parent: Path) -> list[Path]:
    """What :func:`sweep_leftovers` would remove; nothing is changed."""
    found = []
    with suppress(OSError):  # not there, or not for this user
        for directory in sorted(parent.glob(f"{_PREFIX}*")):
            with suppress(OSError):
                if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                    continue
                with (directory / _LOCK_FILE).open("r") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(directory)
    return found


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


def _remove(directory: Path) -> None:
    """Remove a scratch directory and its sockets; rmtree follows no link that was planted in there."""
    for place in (socket_directory(directory, _PREFIX), directory):
        if place.exists():
            shutil.rmtree(place)
