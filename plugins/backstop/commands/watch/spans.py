"""Recovery windows of many base backups as few stretches of time, and what is wrong between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn
from backstop.model.observation import WindowSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.model.lsn import WalSegment
    from backstop.model.wal import StoredWal
    from backstop.model.wal_path import Coverage
    from backstop.model.window import RecoveryWindow

UNDER_WAY = timedelta(minutes=15)
"""Segments may be stored out of order, and late: what is behind a gap has to be there for so long."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A segment that is missing behind a window, or at a base backup that therefore cannot be restored.

    :param segment: the missing one; None when something else is missing.
    :param why: in words, naming it.
    """

    why: str
    segment: WalSegment | None = None


def is_gap(coverage: Coverage, wal: StoredWal, *, now: datetime) -> bool:
    """Whether WAL behind the end is there, has been for a while, and is not just a segment cut short."""
    if coverage.gap is None or coverage.unfinished:
        return False
    missing = coverage.stops_at
    later = wal.next_stored(missing.timeline, missing.number)
    if later is None or wal.conflict(missing.timeline, later):
        return True
    tail = wal.tail(missing.timeline, later)
    if wal.sha16(wal.segment(missing.timeline, later)) is not None:
        since = wal.written_by(missing.timeline, later)
    elif tail is not None and tail.pieces:
        since = tail.pieces[0].stored_at
    else:
        return False
    return now - since > UNDER_WAY


def stretches(
    windows: Sequence[RecoveryWindow],
    wal: StoredWal,
    *,
    repository: str,
    now: datetime,
    wanted: Callable[[WalSegment], bool],
) -> tuple[tuple[WindowSeen, ...], tuple[Hole, ...]]:
    """Windows that end at the same place are one; and what is missing, oldest first.

    :param wanted: whether retention keeps a segment: where it does not, a window is meant to end.
    """
    alike: dict[tuple[int, Lsn], list[RecoveryWindow]] = defaultdict(list)
    broken: dict[str, RecoveryWindow] = {}
    usable: set[str] = set()
    for window in windows:
        if window.end_lsn is None:
            broken.setdefault(window.base.label, window)
        else:
            usable.add(window.base.label)
            alike[window.timeline, window.end_lsn].append(window)
    seen: list[WindowSeen] = []
    holes: list[Hole] = []
    newest = max(wal.timelines | {timeline for timeline, _ in alike}, default=0)
    for (timeline, end), together in sorted(alike.items(), key=lambda one: (one[0][0], one[0][1])):
        together.sort(key=lambda window: window.base.finished_at)
        coverage = together[0].coverage
        if coverage is None:
            continue
        gap = is_gap(coverage, wal, now=now) and wanted(coverage.stops_at)
        if gap:
            holes.append(Hole(coverage.ends_because, coverage.stops_at))
        begins_at = together[0].base.finished_at
        seen.append(
            WindowSeen(
                repository=repository,
                timeline=timeline,
                begins_at=begins_at,
                ends_at=max(begins_at, coverage.written_by or begins_at),
                begin_lsn=str(together[0].base.end),
                end_lsn=str(end),
                bases=tuple(window.base.label for window in together),
                ends_because="" if timeline == newest and not coverage.gap else coverage.ends_because,
                gap=gap,
            )
        )
    seen = _with_newest(seen, newest)
    # Those that lack objects are somebody else's finding.
    lacking = {window.base.label for window in windows if window.base.unusable}
    hopeless = [
        Hole(f"{label} cannot be restored: {window.ends_because}")
        for label, window in broken.items()
        if label not in usable and not lacking.intersection(window.chain)
    ]
    return tuple(seen), (*hopeless, *holes)


def _with_newest(seen: Sequence[WindowSeen], timeline: int) -> list[WindowSeen]:
    """The one that ends where WAL ends now: farthest on the newest timeline, with no gap behind it."""
    there = [one for one in seen if one.timeline == timeline]
    if not there:
        return list(seen)
    last = max(there, key=lambda one: Lsn.parse(one.end_lsn))
    if last.gap:
        return list(seen)
    return [replace(one, newest=one is last) for one in seen]
