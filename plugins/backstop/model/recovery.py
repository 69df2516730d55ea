"""Plans a recovery: which base backup, which timelines, which WAL, and why; or says why not.

Each decision names the rule it rests on: a section of PostgreSQL's documentation in quotes, or a setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.recovery_choice import choose_window, usable_windows
from backstop.model.recovery_fit import CLOCK_ERROR, Facts
from backstop.model.recovery_target import RecoveryTarget, TargetKind
from backstop.model.timeline import history_name
from backstop.model.window import RecoverySources, RecoveryWindow, recovery_windows

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta

    from backstop.model.lsn import Lsn, WalSegment
    from backstop.model.recovery_look import Look
    from backstop.model.timeline import TimelineSpan
    from backstop.model.wal import StoredWal
    from backstop.model.wal_path import SegmentRun
    from backstop.model.wal_tail import Tail

__all__ = ["RecoveryPlan", "RecoverySources", "RecoveryTarget", "TargetKind", "plan_recovery", "windows_for"]


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What to fetch, in which order, and where it should end.

    :param chain: labels of the base backups to combine, the full one first.
    :param timeline: the number for ``recovery_target_timeline``.
    :param path: which timeline each position belongs to.
    :param segments: whole segments in the order of replay, without a gap, up to the one where recovery should
        stop. For a time that is the earliest possible: names hold no times of commits.
    :param following: whole segments behind them, for when the record to stop at lies further on.
    :param tail: what is stored of the growing segment, behind all of these, when the window ends in it.
    :param cut_at: behind this position the last segment (of ``tail``, else of the runs) must be zeros: it is
        of a timeline that had been left there, and the server would go on with what that one wrote then.
    :param histories: timelines whose history files must lie in the spool before the server starts: it looks
        for the next free number there when it leaves recovery.
    :param end_lsn: the first position that is not there.
    :param stop_lsn: the position it should stop at, where that is known.
    :param why: one sentence a decision.
    :param warnings: what is no reason to refuse, and must be read.

    Only what is listed may be handed to the server. Where the first segment of a new timeline is missing, it
    asks for the old timeline's and replays, without a word, what was written there after the switch.
    """

    target: RecoveryTarget
    window: RecoveryWindow
    chain: tuple[str, ...]
    system_id: str
    server_major: int
    timeline: int
    path: tuple[TimelineSpan, ...]
    segment_bytes: int
    segments: tuple[SegmentRun, ...]
    following: tuple[SegmentRun, ...]
    tail: Tail | None
    tail_segment: WalSegment | None
    cut_at: Lsn | None
    histories: tuple[int, ...]
    end_lsn: Lsn
    stop_lsn: Lsn | None
    why: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def first_segment(self) -> WalSegment | None:
        """None when all of it lies in the tail."""
        runs = self.segments + self.following
        return next(iter(runs[0])) if runs else None

    @property
    def last_segment(self) -> WalSegment | None:
        """Where recovery should stop; None when all of it lies in the tail."""
        return self.segments[-1].last_segment if self.segments else None

    @property
    def segment_count(self) -> int:
        return sum(len(run) for run in self.segments)

    @property
    def settings(self) -> dict[str, str]:
        """The server's ``recovery_target*`` settings."""
        return self.target.settings(self.timeline)


def plan_recovery(
    target: RecoveryTarget,
    sources: RecoverySources,
    *,
    now: datetime,
    majors: Collection[int] | None = None,
    position: Lsn | None = None,
    look: Look | None = None,
    last_commit_at: datetime | None = None,
    last_record: Lsn | None = None,
    clock_error: timedelta = CLOCK_ERROR,
) -> RecoveryPlan:
    """Decide, before anything is fetched, how to recover to the target.

    :param majors: major versions of the server programs at hand; by default any.
    :param position: where the record of a restore point or transaction lies.
    :param look: what was found by looking for it in WAL.
    :param last_commit_at: time of the last commit in the newest window of the timeline, when somebody has
        looked into WAL: then it decides, and not when the WAL was stored.
    :param last_record: likewise, where the last record begins; behind it there may be padding.
    :param clock_error: by how much the clocks of server and repository may differ.
    :raises RecoveryImpossibleError: why not, and what the nearest possible target is.
    """
    facts = Facts(
        sources=sources,
        windows=recovery_windows(sources),
        now=now,
        majors=frozenset(majors) if majors is not None else None,
        look=look,
        positions={**(look.positions if look else {}), **({str(target): position} if position else {})},
        last_commit_at=last_commit_at,
        last_record=last_record,
        clock_error=clock_error,
    )
    window, why = choose_window(target, facts)
    coverage = window.coverage
    assert coverage is not None  # noqa: S101 — a window that can be chosen has both
    assert coverage.end is not None  # noqa: S101
    stop = _stop_lsn(target, window, facts.position_of(target))
    segments, following = _split(coverage.runs, _expected_last(target, window, sources.wal, stop))
    return RecoveryPlan(
        target=target,
        window=window,
        chain=window.chain,
        system_id=window.base.system_id,
        server_major=window.base.server_major,
        timeline=window.timeline,
        path=window.path,
        segment_bytes=sources.wal.segment_bytes,
        segments=segments,
        following=following,
        tail=coverage.tail,
        tail_segment=coverage.tail_segment,
        cut_at=coverage.cut_at,
        histories=tuple(sorted(sources.histories.readable)),
        end_lsn=coverage.end,
        stop_lsn=stop,
        why=(*why, *_seen(look), _route(window), _wal_words(segments, coverage.end)),
        warnings=_warnings(target, window, sources),
    )


def windows_for(
    target: RecoveryTarget, sources: RecoverySources, *, now: datetime
) -> tuple[RecoveryWindow, ...]:
    """Where the target may lie: what is worth looking through, oldest first."""
    facts = Facts(
        sources=sources,
        windows=recovery_windows(sources),
        now=now,
        majors=None,
        look=None,
        positions={},
        last_commit_at=None,
        last_record=None,
        clock_error=CLOCK_ERROR,
    )
    return usable_windows(target, facts)


def _stop_lsn(target: RecoveryTarget, window: RecoveryWindow, position: Lsn | None) -> Lsn | None:
    if target.kind is TargetKind.IMMEDIATE:
        return window.base.end
    if target.kind is TargetKind.LATEST:
        return window.end_lsn
    return position


def _expected_last(
    target: RecoveryTarget, window: RecoveryWindow, wal: StoredWal, stop: Lsn | None
) -> int | None:
    """Number of the segment where recovery should stop; None for as far as there is WAL."""
    if target.kind is TargetKind.IMMEDIATE:
        # The record that ends the backup ends at this position, so it may end with its segment.
        return (window.base.end.position - 1) // wal.segment_bytes
    if target.kind is TargetKind.LATEST:
        return None
    if stop is not None:
        return stop.position // wal.segment_bytes
    if target.time is None or window.coverage is None:
        return None
    for run in window.coverage.runs:
        found = wal.first_written_after(run.timeline, run.first, run.last, target.time)
        if found is not None:
            # Even a target just behind the backup's end needs all WAL that makes the backup consistent.
            return max(found, (window.base.end.position - 1) // wal.segment_bytes)
    return None


def _split(
    runs: tuple[SegmentRun, ...], last: int | None
) -> tuple[tuple[SegmentRun, ...], tuple[SegmentRun, ...]]:
    if last is None:
        return runs, ()
    halves = [run.split_after(last) for run in runs]
    return (
        tuple(before for before, _ in halves if before is not None),
        tuple(after for _, after in halves if after is not None),
    )


def _seen(look: Look | None) -> tuple[str, ...]:
    return (look.says,) if look and look.found else ()


def _route(window: RecoveryWindow) -> str:
    steps = [f"{span.timeline} up to {span.end}" for span in window.path if span.end is not None]
    through = f", by way of {', '.join(steps)}" if steps else ""
    return f'timeline {window.timeline}{through} (as its history says: "Timelines")'


def _wal_words(segments: tuple[SegmentRun, ...], end: Lsn) -> str:
    if not segments:
        return f"all WAL that is needed lies in the growing segment, up to {end}"
    runs = ", ".join(str(run) for run in segments)
    count = sum(len(run) for run in segments)
    return f"WAL {runs}: {count} segments without a gap; what is stored beyond leads up to {end}"


def _warnings(target: RecoveryTarget, window: RecoveryWindow, sources: RecoverySources) -> tuple[str, ...]:
    found = []
    if target.kind is TargetKind.LATEST and window.has_gap:
        found.append(f"this is not the newest state: {window.ends_because}")
    beyond = [timeline for timeline in sorted(sources.timelines) if timeline > window.timeline]
    # A server that leaves recovery takes the number after the last history file in an unbroken row.
    following = window.timeline + 1
    while following in sources.histories.readable:
        following += 1
    if following in sources.timelines:
        found.append(
            f"{history_name(following)} is not there, and timeline {following} has been in use: a server "
            f"promoted here takes that number again; do not let it archive into this repository"
        )
    elif beyond:
        found.append(f"timelines after {window.timeline} exist: {', '.join(map(str, beyond))}")
    return tuple(found)
