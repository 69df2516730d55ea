"""The short part of a recovery that users notice: the recovered data directory takes the live one's place."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.commands.recovery.clone import attach, detach
from backstop.commands.recovery.live_server import (
    MadeFolders,
    has_cluster,
    lock_file,
    make_parents,
    nearest_there,
    refuse_unless_it_runs_here,
    stop_server,
)
from backstop.errors import BackstopError, CommandError, RestoreError

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.commands.database.swap import ApplicationCommands
    from backstop.commands.recovery.result import RecoveryResult
    from backstop.postgres.connection import ClusterConnection


@dataclass(frozen=True, slots=True)
class CutOverOutcome:
    """What was done.

    :param kept: where the former data directory is; None when there was none.
    :param downtime_seconds: from stopping the cluster until its probe answered.
    :param unprotected: what has to happen before the cluster is protected again.
    :param notes: what was otherwise than usual, one sentence each: a stop command that failed because no
        server ran any more.
    """

    live: str
    kept: str | None
    downtime_seconds: float
    unprotected: str = (
        "unprotected until WAL of the new timeline is archived and a new full base backup is published"
    )
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def cut_over(
    result: RecoveryResult, *, live: Path, cluster: ApplicationCommands, now: datetime
) -> CutOverOutcome:
    """Put what was recovered and validated where the live data directory is; that one is kept beside it.

    Whatever fails, the live name leads to a whole data directory and the cluster is started again: with the
    former data if the new one did not come up. Where there was none, there is none again, and nothing is
    started.

    A server that has crashed, was stopped already, or lost its data directory cannot be stopped: a stop
    command that fails is noted then, and the cut-over goes on; see :func:`~.live_server.stop_server`.

    :param result: of :meth:`~backstop.commands.recovery.recover.PointInTimeRestore.run`, which validates.
    :param cluster: what stops, starts and probes the live cluster, and whatever depends on it.
    :raises RestoreError: it cannot be done; nothing was stopped.
    :raises CommandError: a command failed; the message says which data is live.
    """
    restored = Path(result.data)
    kept = live.with_name(f"{live.name}-before-{now:%Y%m%dT%H%M%SZ}")
    check_cut_over(result, live=live)
    if os.path.lexists(kept):
        raise RestoreError(f"{kept} exists already", hint="move it away")
    exists = live.is_dir()
    former = live if has_cluster(live) else None
    stopped_at = time.monotonic()
    try:
        notes = stop_server(cluster, live)
    except BaseException as error:
        _start_again(cluster, error, former)
        raise
    stale = lock_file(live)
    parents = MadeFolders()
    try:
        if exists:
            live.rename(kept)
        else:
            parents = make_parents(live, like=restored)
        restored.rename(live)
        # Behind the rename: whoever is killed, a copy beside the live cluster must not be able to disturb it.
        attach(live)
        cluster.run("start")
        cluster.run("probe")
        if lock_file(kept) != stale:
            # It answers the probe, too, and says nothing about what was recovered.
            raise CommandError(
                f"the former server started by itself on what is now {kept}",
                hint="the stop command must also keep a supervisor from starting it again",
            )
        if notes or stale is not None:
            # Nobody has seen the former one end: that it is not what answers must be certain.
            refuse_unless_it_runs_here(live)
    except BaseException as error:
        try:
            _undo(cluster, restored, live, kept if exists else None, result)
            parents.remove()
        finally:
            _start_again(cluster, error, former)
        raise
    return CutOverOutcome(
        live=str(live),
        kept=str(kept) if exists else None,
        downtime_seconds=round(time.monotonic() - stopped_at, 3),
        notes=notes,
    )


def reserve_slot(cluster: ClusterConnection, slot: str) -> None:
    """Make the server keep its WAL for the archive again: a base backup brings no replication slots along.

    :raises SourceError: it cannot be made; WAL archiving then says what to do.
    """
    from backstop.postgres.replication import ReplicationConnection

    with ReplicationConnection(cluster) as connection:
        if connection.slot(slot) is None:
            connection.create_slot(slot)


def reopen_cluster(
    live: Path,
    cluster: ApplicationCommands,
    *,
    live_inode: int | None,
    recovered_inode: int | None = None,
) -> None:
    """For a cut-over that was killed in the middle: a whole data directory under the live name, and a server.

    :param live_inode: what :func:`check_cut_over` found under the live name; only that is ever put back, not
        what an earlier cut-over left beside it.
    :param recovered_inode: of what was to take its place: where it has, it also gets its source's settings.
    :raises RestoreError: nothing is there that could be put back. :raises CommandError: it does not start.
    """
    if not os.path.lexists(live):
        kept = [
            path
            for path in live.parent.glob(f"{live.name}-before-*")
            if live_inode is not None and path.stat().st_ino == live_inode
        ]
        if not kept:
            there = "the one it had before is not beside it" if live_inode else "there was none before either"
            raise RestoreError(
                f"there is no {live}, and {there}; nothing was started",
                hint="put the recovered data directory there by hand, or cut over again",
            )
        kept[0].rename(live)
    if live.stat().st_ino == recovered_inode and not (live / "postmaster.pid").exists():
        attach(live)
    cluster.run("start")
    cluster.run("probe")


def check_cut_over(result: RecoveryResult, *, live: Path) -> int | None:
    """The inode of the live data directory; None when there is none.

    :raises RestoreError: what stands in the way; nothing is changed.
    """
    restored = Path(result.data)
    if live.is_dir() and live.stat().st_ino == result.data_inode:
        raise RestoreError(
            f"{live} is what was recovered: it has been put in place already",
            hint="if that cut-over was killed, clear task `start_cluster`; for another point recover anew",
        )
    if not restored.is_dir() or restored.stat().st_ino != result.data_inode:
        raise RestoreError(
            f"{restored} is not the directory that was validated", hint="recover again, then cut over"
        )
    if (restored / "postmaster.pid").exists():
        raise RestoreError(f"a server runs in {restored}", hint="stop it first")
    if live.is_dir() and restored.stat().st_uid != live.stat().st_uid:
        raise RestoreError(
            f"{restored} belongs to user id {restored.stat().st_uid}, and {live} to {live.stat().st_uid}",
            hint="name the live server's user in cluster.recovery.run_as, and recover again",
        )
    refuse_unfit_place(live, beside=restored)
    return live.stat().st_ino if live.is_dir() else None


def refuse_unfit_place(live: Path, *, beside: Path) -> None:
    """What can be known before anything is recovered. The live directory, and those above it, may be gone.

    :param beside: where the recovered one is, or will be.
    :raises RestoreError: a directory there could never take the live name.
    """
    if live.is_symlink() or os.path.ismount(live):
        raise RestoreError(
            f"{live} is a link or a mount point and cannot be renamed",
            hint="name the directory it leads to; a mount point takes a directory below it",
        )
    above = nearest_there(live.parent)
    for path in (above, live):
        if os.path.lexists(path) and not path.is_dir():
            raise RestoreError(
                f"{path} is no directory", hint="move it away, or correct cutover.data_directory"
            )
    if nearest_there(beside).stat().st_dev != above.stat().st_dev:
        raise RestoreError(
            f"{beside} lies on another file system than {live}", hint="recover to a place beside it"
        )


def _undo(
    cluster: ApplicationCommands, restored: Path, live: Path, kept: Path | None, result: RecoveryResult
) -> None:
    """As it was. A server that came up half-way must not keep running on what is moved."""
    moved = live.is_dir() and live.stat().st_ino == result.data_inode
    if moved:
        if (live / "postmaster.pid").exists():
            try:
                cluster.run("stop")
            except CommandError as error:
                raise CommandError(
                    f"{error.message}; {live} holds the recovered data, and {kept} what was there before",
                    hint="stop the server by hand, and move them back",
                ) from error
        live.rename(restored)
    if restored.is_dir():
        detach(restored)
    if kept is not None and kept.is_dir() and not live.exists():
        kept.rename(live)


def _start_again(cluster: ApplicationCommands, error: BaseException, former: Path | None) -> None:
    """The former server. Where there was none, its commands have nothing to start."""
    if former is None:
        return
    try:
        cluster.run("start")
    except CommandError as start_error:
        why = error.message if isinstance(error, BackstopError) else repr(error)
        raise CommandError(
            f"{why}; and then {start_error.message}",
            hint=f"{former} holds its former data; start the cluster by hand",
        ) from error
