"""Runs the recovery of a restored data directory, watches it, and looks at where it ended."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, RestoreError
from backstop.model.lsn import Lsn
from backstop.postgres.control_data import ControlData, parse_control_data
from backstop.postgres.isolated_server import IsolatedServer, complaint, socket_directory
from backstop.postgres.recovery_end import RecoveryEnd, ended_early, read_end, wrong_end
from backstop.postgres.recovery_log import RecoveryLog
from backstop.postgres.recovery_settings import (
    RecoveryStop,
    recovery_settings,
    restore_command,
    settings_of_a_clone,
    write_server_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.isolation import Isolation
    from backstop.postgres.tools import PostgresTools

_SCRIPT = Path(__file__).with_name("restore_wal.sh")
_POLL_SECONDS = 0.1
_TOOL_SECONDS = 120.0
_SYNC_SECONDS = 3600.0
_CHECKSUM_SECONDS = 24 * 3600.0
_NOWHERE = Lsn(0)
# What would make the server a standby, or belongs to a server that ran here before.
_NOT_OURS = ("standby.signal", "postmaster.pid", "postmaster.opts")


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """With which programs, and how kept apart, a restored data directory is run.

    :param isolation: for a clone that is to be kept, :func:`run_as`.
    :param superuser: a role that exists in the cluster and may read everything.
    :param preload: ``shared_preload_libraries``; only clusters whose WAL needs them have any.
    """

    tools: PostgresTools
    isolation: Isolation
    superuser: str = "postgres"
    preload: str = ""
    shared_buffers: str = "256MB"
    hide: Sequence[Path] = ()


class RecoveredCluster:
    """A restored data directory and the server on it, within the ``with`` block.

    :param folder: ours, new or empty but for what was restored; the log and the socket go there.
    :param data: the restored data directory with its ``backup_label``, owned by ``isolation.owner``.
    :param spool: what ``commands/wal/prefetch.py`` fills.
    :param tablespaces: directories that its tablespaces lie in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Path,
        spool: Path,
        choice: ServerChoice,
        stop: RecoveryStop,
        tablespaces: Sequence[Path] = (),
    ) -> None:
        self.data = data
        self._folder = folder
        self._spool = spool
        self._choice = choice
        self._stop = stop
        self._tablespaces = tuple(tablespaces)
        self._sockets = socket_directory(folder, "")
        self._server: IsolatedServer | None = None

    def __enter__(self) -> RecoveredCluster:
        (self._folder / "root").mkdir(exist_ok=True)
        self._sockets.mkdir(mode=0o700)
        try:
            self._own(self._sockets)
            write_server_files(self._folder / "settings")
            self.control = self.read_control_data()
            self._settings = recovery_settings(
                self.control,
                self._stop,
                major=self._choice.tools.major,
                files=self._folder / "settings",
                restore_command=restore_command(_SCRIPT, self._spool),
                shared_buffers=self._choice.shared_buffers,
                preload=self._choice.preload,
            )
        except BaseException:
            self._sockets.rmdir()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.stop()
        for entry in self._sockets.iterdir():
            entry.unlink()
        self._sockets.rmdir()

    def recover(
        self,
        *,
        at_most: Lsn,
        at_least: Lsn = _NOWHERE,
        on_replayed: Callable[[Lsn], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> RecoveryEnd:
        """Replay to the target, open the cluster to ourselves, and make sure that the end is the planned one.

        :param at_most: where the planned WAL ends; :param at_least: what must have been replayed of it.
        :param on_replayed: told the position from time to time.
        :param check: called all the time; what it raises ends the recovery.
        :raises RestoreError: it stopped before its end, or ended elsewhere. Nobody has been connected.
        """
        self._prepare_data()
        server = self._server_with(self._settings)
        log = RecoveryLog(server.log, self.control.segment_bytes)
        started = time.monotonic()
        server.launch()
        # Not by knocking: every attempt would be a FATAL in the log.
        while not (log.opened and server.answers):
            check()
            log.read()
            if log.replayed is not None:
                on_replayed(log.replayed)
            if server.exit_status is not None:
                # Why nothing more could be fetched says more than that the server went away.
                time.sleep(_POLL_SECONDS)
                check()
                raise ended_early(server, self._stop)
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - started
        server.seal()
        log.read()
        end = read_end(self.data, log, seconds)
        wrong = wrong_end(
            end,
            self._stop,
            at_least=at_least,
            at_most=at_most,
            segment_bytes=self.control.segment_bytes,
        )
        if wrong:
            self._running().stop()
            raise RestoreError(
                wrong, hint="nobody has been connected; restore anew, and keep the server's log"
            )
        on_replayed(end.lsn)
        return end

    def connection(self, dbname: str = "postgres") -> ClusterConnection:
        """The way into the recovered cluster, for us alone."""
        return self._running().connection(dbname)

    def run(self, program: str, *arguments: str, timeout: float) -> str:
        """Run one of PostgreSQL's programs where the server runs.

        :returns: what it wrote. :raises RestoreError: it failed; its complaint is in the message.
        """
        server = self._server or self._server_with({})
        done = server.run(program, *arguments, timeout=timeout)
        if done.returncode != 0:
            said = complaint(done.stderr)
            raise RestoreError(
                f"{program} on {self.data} ended with {done.returncode}: {said}", hint="see its message"
            )
        return (done.stdout + done.stderr).decode(errors="replace")

    def shut_down(self) -> None:
        """In good order; the data directory then needs no recovery."""
        self._running().shut_down()
        self._server = None

    def start_again(self) -> None:
        """After :meth:`shut_down`: the same server, still on its own."""
        self._server = self._server_with(settings_of_a_clone(self._settings))
        self._server.start()

    def check_pages(self) -> int | None:
        """Compare every page of the stopped cluster with its checksum; the number of pages looked at.

        None when the cluster has no checksums.

        :raises IntegrityError: some pages are damaged.
        """
        if not self.control.checksums:
            return None
        server = self._server_with({})
        done = server.run("pg_checksums", "--check", "-D", str(self.data), timeout=_CHECKSUM_SECONDS)
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode != 0:
            raise IntegrityError(
                f"pages of {self.data} are damaged: {complaint(done.stderr)}",
                hint="recover from another base backup, and look at the source's disks",
            )
        found = [line for line in said.splitlines() if line.startswith("Blocks scanned:")]
        return int(found[0].split(":")[1]) if found else 0

    def sync(self) -> None:
        """Make the stopped cluster durable: recovery itself leaves that to the end."""
        self.run("initdb", "--sync-only", "-D", str(self.data), timeout=_SYNC_SECONDS)

    def read_control_data(self) -> ControlData:
        """:raises IntegrityError: there is no readable pg_control."""
        done = self._server_with({}).run("pg_controldata", "-D", str(self.data), timeout=_TOOL_SECONDS)
        if done.returncode != 0:
            raise IntegrityError(
                f"{self.data} is no data directory: {complaint(done.stderr)}",
                hint="choose another base backup",
            )
        return parse_control_data((done.stdout + done.stderr).decode(errors="replace"), place=self.data)

    # -- Inside ----------------------------------------------------------------------------------------------

    def _prepare_data(self) -> None:
        """Leave no doubt that this is an archive recovery from the backup's own start."""
        if not (self.data / "backup_label").is_file():
            raise RestoreError(
                f"{self.data} has no backup_label: it would be started as it is, torn",
                hint="restore the base backup anew",
            )
        for name in _NOT_OURS:
            (self.data / name).unlink(missing_ok=True)
        signal = self.data / "recovery.signal"
        signal.touch(mode=0o600)
        self._own(signal)

    def _server_with(self, settings: dict[str, str]) -> IsolatedServer:
        self._server = IsolatedServer(
            self._choice.tools.major,
            bin_dir=self._choice.tools.bin_dir.resolve(),
            data=self.data,
            folder=self._folder,
            sockets=self._sockets,
            isolation=self._choice.isolation,
            superuser=self._choice.superuser,
            settings=settings,
            hide=self._choice.hide,
            readable=[path for path in (self._spool, self._folder / "settings", _SCRIPT) if path.exists()],
            writable=[
                *self._tablespaces,
                *([self._spool / "wanted"] if (self._spool / "wanted").exists() else []),
            ],
        )
        return self._server

    def _running(self) -> IsolatedServer:
        if self._server is None:
            raise RuntimeError("no server has been started on this data directory")
        return self._server

    def _own(self, path: Path) -> None:
        if self._choice.isolation.owner != os.geteuid():
            os.chown(path, self._choice.isolation.owner, -1)
