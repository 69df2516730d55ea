"""Where and why a recovery ended, and whether that was the planned end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import RestoreError
from backstop.model.lsn import Lsn
from backstop.postgres.isolated_server import complaint
from backstop.postgres.recovery_log import switch_point

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from backstop.errors import ScratchError
    from backstop.postgres.isolated_server import IsolatedServer
    from backstop.postgres.recovery_log import RecoveryLog
    from backstop.postgres.recovery_settings import RecoveryStop

_HISTORY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecoveryEnd:
    """Where a recovery ended.

    :param lsn: the end of the last replayed record: there the new timeline begins.
    :param last_commit_at: of the last transaction in the result; None when none was replayed.
    :param stopped: why, in PostgreSQL's words; empty when the WAL was replayed to its end.
    """

    timeline: int
    lsn: Lsn
    replayed_bytes: int
    seconds: float
    last_commit_at: datetime | None
    stopped: str


def read_end(data: Path, log: RecoveryLog, seconds: float) -> RecoveryEnd:
    """What the log and the new timeline's history say.

    :raises RestoreError: nothing was recovered, or nobody can tell where it ended.
    """
    if log.new_timeline is None or log.started_at is None:
        raise RestoreError(
            f"the server on {data} came up without having recovered anything",
            hint="restore the base backup anew; its backup_label or recovery.signal was lost",
        )
    lsn = _switch_point(data, log.new_timeline)
    return RecoveryEnd(
        timeline=log.new_timeline,
        lsn=lsn,
        replayed_bytes=lsn - log.started_at,
        seconds=seconds,
        last_commit_at=log.last_commit_at,
        stopped=log.stopping,
    )


def wrong_end(
    end: RecoveryEnd, stop: RecoveryStop, *, at_least: Lsn, at_most: Lsn, segment_bytes: int
) -> str:
    """In words, why this is not the planned end; empty when it is."""
    if stop.kind != "latest" and not end.stopped:
        return "recovery ended without having reached its target"
    # The record that ends a segment early (pg_switch_wal) stands for all the rest of it, whether or not that
    # was stored: the replay then ends where the next segment begins.
    segment_end = Lsn(-(-at_most.position // segment_bytes) * segment_bytes)
    if end.lsn > at_most and end.lsn != segment_end:
        return f"recovery ended at {end.lsn}, beyond the planned end {at_most}"
    if end.lsn < at_least:
        return f"recovery ended at {end.lsn}; the WAL it was to replay reaches to {at_least}"
    return ""


def ended_early(server: IsolatedServer, stop: RecoveryStop) -> RestoreError | ScratchError:
    """Why the server went away during recovery."""
    said = server.log_tail()
    if "recovery ended before configured recovery target was reached" in said:
        return RestoreError(
            f"the WAL ends before the target ({stop.kind} {stop.value}) was reached",
            hint="recover to an earlier point, or to the latest",
        )
    if "exit code 255" in said or "from archive" in complaint(said.encode()):
        return RestoreError(
            "recovery stopped because a WAL file it needs did not come: " + complaint(said.encode()),
            hint="nothing was promoted; see why it could not be fetched, then recover anew",
        )
    return server.failed(f"ended with status {server.exit_status} during recovery")


def _switch_point(data: Path, timeline: int) -> Lsn:
    path = data / "pg_wal" / f"{timeline:08X}.history"
    try:
        # The server may be in the hands of what it has replayed: no link is followed out of here.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            return switch_point(stream.read(_HISTORY_BYTES).decode("ascii"))
    except (OSError, ValueError, IndexError) as error:
        raise RestoreError(
            f"{path} does not tell where recovery ended: {error}", hint="restore the base backup anew"
        ) from error
