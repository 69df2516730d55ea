"""One PostgreSQL server on one data directory, kept apart from the machine and gone with us."""

from __future__ import annotations

import re
import select
import stat
import subprocess
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from backstop.errors import ScratchError
from backstop.postgres.connection import ClusterConnection
from backstop.postgres.isolation import Isolation, run_isolated, shared_library_directories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PORT = 5432
# sockaddr_un.sun_path holds 107 bytes and a terminator (unix(7)); PostgreSQL adds ".lock" to a sibling only.
_SOCKET_PATH_BYTES = 107
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PROGRAMS = ("initdb", "postgres")


class IsolatedServer:
    """A server that only this worker's user can reach; it ends with the process that started it.

    :param data: its data directory, owned by :attr:`Isolation.owner`.
    :param folder: ours, for the log and the mount point of its file system.
    :param sockets: an existing directory of the server's own, 0700.
    :param settings: given on the command line, so that nothing in the data directory has precedence.
    :param hide: secrets-bearing places that must stay invisible even where system directories hold them.
    :param readable: further places that the server needs to read.
    :param writable: further directories that the server writes to: tablespaces.
    """

    def __init__(
        self,
        major: int,
        *,
        bin_dir: Path,
        data: Path,
        folder: Path,
        sockets: Path,
        isolation: Isolation,
        superuser: str,
        settings: Mapping[str, str],
        hide: Sequence[Path] = (),
        readable: Sequence[Path] = (),
        writable: Sequence[Path] = (),
    ) -> None:
        self.major = major
        self.data = data
        self.superuser = superuser
        self.settings = dict(settings)
        self.log = folder / "server.log"
        self._bin_dir = bin_dir
        self._root = folder / "root"
        self._sockets = sockets
        self._isolation = isolation
        self._hide = tuple(hide)
        self._readable = tuple(readable)
        self._writable = tuple(writable)
        self._process: subprocess.Popen[bytes] | None = None

    def connection(self, dbname: str = "postgres") -> ClusterConnection:
        """Its superuser's way in: a socket that only this worker's user can reach.

        :raises ScratchError: what lies there is no socket.
        """
        self._check_socket()
        return ClusterConnection(host=str(self._sockets), port=PORT, user=self.superuser, dbname=dbname)

    def log_tail(self, size_bytes: int = 4000) -> str:
        """The end of the server's log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - size_bytes))
            return stream.read().decode(errors="replace").strip()

    def run(self, program: str, *arguments: str, timeout: float) -> subprocess.CompletedProcess[bytes]:
        """Run one of PostgreSQL's programs where the server runs, to its end.

        :raises ScratchError: it did not end in time.
        """
        return run_isolated(
            self._isolated([str(self._bin_dir / program), *arguments]),
            timeout=timeout,
        )

    def launch(self) -> None:
        """Start it, and do not wait."""
        settings = {**self.settings, "unix_socket_directories": str(self._sockets)}
        argv = [str(self._bin_dir / "postgres"), "-D", str(self.data), "-p", str(PORT)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._isolated(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={},
                cwd="/",
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """Of a server that has ended by itself; None while it runs or was never started."""
        return None if self._process is None else self._process.poll()

    @property
    def answers(self) -> bool:
        """Whether it accepts connections now."""
        from psycopg import pq
        from psycopg.conninfo import make_conninfo

        target = make_conninfo(host=str(self._sockets), port=PORT, dbname="postgres", user=self.superuser)
        return pq.PGconn.ping(target.encode()) == pq.Ping.OK

    def start(self, *, timeout_seconds: float = _START_SECONDS) -> None:
        """Start it, wait until it accepts connections, then seal its way in.

        :raises ScratchError: it does not come up.
        """
        self.launch()
        deadline = time.monotonic() + timeout_seconds
        while not self.answers:
            if self.exit_status is not None:
                raise self.failed(f"exited with status {self.exit_status}")
            if time.monotonic() > deadline:
                raise self.failed(f"did not accept connections within {timeout_seconds:.0f} s")
            time.sleep(0.02)
        self.seal()

    def seal(self) -> None:
        """Keep its socket as it is.

        What it runs from now on may be hostile. It must not be able to put another server's socket, or a
        link to one, where we are going to connect.
        """
        life_line, answers = _pipes(self._process)
        life_line.write(b"seal\n")
        life_line.flush()
        readable, _, _ = select.select([answers], [], [], _START_SECONDS)
        if not readable or answers.readline() != b"sealed\n":
            raise self.failed("could not be sealed off")

    def shut_down(self, *, timeout_seconds: float = 600.0) -> None:
        """End it in good order, with a checkpoint.

        :raises ScratchError: it did not end, or not well.
        """
        if self._process is None:
            return
        life_line, _ = _pipes(self._process)
        try:
            life_line.write(b"stop\n")
            life_line.flush()
            status = self._process.wait(timeout_seconds)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            status = -1
        self.stop()
        if status != 0:
            raise self.failed("did not shut down in good order")

    def stop(self) -> None:
        """End everything inside, at once."""
        process, self._process = self._process, None
        if process is None:
            return
        life_line, answers = _pipes(process)
        life_line.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        answers.close()

    def failed(self, what: str, error: Callable[..., ScratchError] = ScratchError) -> ScratchError:
        """The error that says so, with the server's own words."""
        return error(
            f"scratch server (PostgreSQL {self.major}) in {self.log.parent} {what}: "
            f"{complaint(self.log_tail().encode()) or 'its log is empty'}",
            hint="see the message; free memory and space on this worker, then try again",
        )

    def _isolated(self, program: Sequence[str]) -> list[str]:
        libraries = {
            directory for name in _PROGRAMS for directory in shared_library_directories(self._bin_dir / name)
        }
        return self._isolation.argv(
            program,
            root=self._root,
            writable=[self.data, *self._writable],
            sealed=[self._sockets],
            readable=[self._bin_dir.parent, *sorted(libraries), *self._readable],
            hide=self._hide,
        )

    def _check_socket(self) -> None:
        path = self._sockets / f".s.PGSQL.{PORT}"
        mode = path.lstat().st_mode if path.is_socket() or path.is_symlink() else 0
        if not stat.S_ISSOCK(mode):
            raise self.failed("has no socket any more")


def socket_directory(directory: Path, prefix: str) -> Path:
    """Inside ``directory`` unless the path were too long for a socket; then a short one derived from it.

    :param prefix: what the names of such directories have in common.
    """
    sockets = directory / "socket"
    if len(bytes(sockets / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_BYTES:
        return sockets
    return Path("/tmp") / f"backstop-socket-{directory.name.removeprefix(prefix)}"  # noqa: S108 created 0700 # nosec B108


def complaint(output: bytes) -> str:
    """The line that says what is wrong: the first error, or failing that the last line."""
    lines = output.decode(errors="replace").strip().splitlines()
    errors = (line for line in lines if re.search(r"FATAL:|PANIC:|ERROR:|error:", line))
    return next(errors, lines[-1] if lines else "")


def _pipes(process: subprocess.Popen[bytes] | None) -> tuple[IO[bytes], IO[bytes]]:
    if process is None or process.stdin is None or process.stdout is None:
        raise RuntimeError("the server was started without pipes")
    return process.stdin, process.stdout
