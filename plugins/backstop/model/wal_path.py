"""Follows stored WAL along the timelines of a path, from a position to the first byte that is not there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn, WalSegment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from backstop.model.timeline import TimelineSpan
    from backstop.model.wal import StoredWal
    from backstop.model.wal_tail import Tail


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """Segments of one timeline without a gap, ``first`` to ``last`` by number, both included."""

    timeline: int
    first: int
    last: int
    segment_bytes: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[WalSegment]:
        for number in range(self.first, self.last + 1):
            yield WalSegment(self.timeline, number, self.segment_bytes)

    @property
    def last_segment(self) -> WalSegment:
        return WalSegment(self.timeline, self.last, self.segment_bytes)

    def split_after(self, number: int) -> tuple[SegmentRun | None, SegmentRun | None]:
        """What lies up to that number, and what follows it."""
        return (
            replace(self, last=min(self.last, number)) if number >= self.first else None,
            replace(self, first=max(self.first, number + 1)) if number < self.last else None,
        )

    def __str__(self) -> str:
        first = WalSegment(self.timeline, self.first, self.segment_bytes)
        return f"{first}" if self.first == self.last else f"{first} to {self.last_segment}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Stored WAL from a position on, without a gap.

    :param runs: whole segments, in the order of replay.
    :param tail: what is stored of the segment after them, when that leads on.
    :param tail_segment: which segment that is.
    :param end: the first position that is not there; None when not even the first one is.
    :param written_by: when its last byte had been written, by the repository's clock.
    :param gap: in words, what is missing before WAL that is known to exist; None when nothing newer is known.
    :param stops_at: the segment in which it ends.
    :param cut_at: the last segment, whole or tail, counts only up to here and must be handed on with zeros
        behind: it is of a timeline that had been left, and the server would replay what that one went on to
        write.
    """

    runs: tuple[SegmentRun, ...]
    tail: Tail | None
    tail_segment: WalSegment | None
    end: Lsn | None
    written_by: datetime | None
    gap: str | None
    stops_at: WalSegment
    cut_at: Lsn | None
    unfinished: bool = False
    """All that lies behind the gap are pieces of the same growing segment: what a receiver or server leaves
    that was killed. Pieces are stored side by side, and nothing behind the first hole was confirmed."""

    @property
    def ends_because(self) -> str:
        return self.gap or f"nothing newer is stored (segment {self.stops_at} is not)"


def cover(wal: StoredWal, path: Sequence[TimelineSpan], start: Lsn) -> Coverage:
    """The WAL that a recovery along this path finds, from the segment that holds ``start`` on.

    A segment in which timelines change is taken from the newest of them: it begins with a copy of what the
    older one wrote, and PostgreSQL asks for that file first. The older one's own file serves only as far as
    the switch, when the newer file is not there. PostgreSQL itself would not stop in it at the switch.
    """
    number = start.position // wal.segment_bytes
    runs: list[SegmentRun] = []
    for index, span in enumerate(path):
        until = _first_number(path[index + 1], wal) if index + 1 < len(path) else None
        if until is not None and number >= until:
            continue
        end = wal.contiguous_end(span.timeline, number)
        end = end if until is None else min(end, until)
        if end > number:
            runs.append(SegmentRun(span.timeline, number, end - 1, wal.segment_bytes))
            number = end
        if until is None or number < until:
            return _stop(wal, path, index, number, until, runs)
    raise ValueError("a path has at least one timeline")


def _first_number(span: TimelineSpan, wal: StoredWal) -> int:
    """A new timeline begins with the segment that holds the switch point, written anew."""
    return span.begin.position // wal.segment_bytes


def _stop(
    wal: StoredWal,
    path: Sequence[TimelineSpan],
    index: int,
    number: int,
    until: int | None,
    runs: list[SegmentRun],
) -> Coverage:
    """The coverage that ends in segment ``number`` of the path's timeline ``index``."""
    missing = wal.segment(path[index].timeline, number)
    end = missing.start if runs else None
    written_by = wal.written_by(runs[-1].timeline, runs[-1].last) if runs else None
    gap = _gap(wal, path, index, number, until)
    tail: Tail | None = None
    tail_segment: WalSegment | None = None
    partly: SegmentRun | None = None
    cut_at: Lsn | None = None
    unfinished = False
    for span in reversed(path[: index + 1]):
        candidate = wal.segment(span.timeline, number)
        last = candidate.end if span.end is None else min(candidate.end, span.end)
        pieces = None if wal.conflict(span.timeline, number) else wal.tail(span.timeline, number)
        if wal.sha16(candidate):
            reach, pieces = last, None
        else:
            reach = min(last, missing.start + (pieces.length if pieces else 0))
        if pieces and pieces.stops and reach < last:
            unfinished = gap is None and pieces.only_lacks_bytes
            gap = gap or f"segment {candidate} is still growing, and {pieces.stops}"
        if reach <= (end or missing.start):
            continue
        end, tail = reach, pieces
        cut_at = span.end if reach == span.end else None
        if pieces:
            partly, tail_segment, written_by = None, candidate, pieces.written_by
        else:
            partly = SegmentRun(span.timeline, number, number, wal.segment_bytes)
            tail_segment, written_by = None, wal.written_by(span.timeline, number)
    return Coverage(
        runs=(*runs, partly) if partly else tuple(runs),
        tail=tail,
        tail_segment=tail_segment,
        end=end,
        written_by=written_by,
        gap=gap,
        stops_at=missing,
        cut_at=cut_at,
        unfinished=unfinished,
    )


def _gap(
    wal: StoredWal, path: Sequence[TimelineSpan], index: int, number: int, until: int | None
) -> str | None:
    timeline = path[index].timeline
    conflict = wal.conflict(timeline, number)
    if conflict:
        return f"segment {conflict}"
    missing = wal.segment(timeline, number)
    later = wal.next_stored(timeline, number)
    if later is not None and (until is None or later < until):
        return f"segment {missing} is missing; the next that is stored is {wal.segment(timeline, later)}"
    if until is not None:
        following = path[index + 1]
        return (
            f"segment {missing} is missing, before timeline {following.timeline} begins at {following.begin}"
        )
    return None
