"""Which WAL segments a recovery reads, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, Lsn, WalSegment

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of the WAL on one timeline.

    :param begins_at: where this timeline left the one before; for the first leg, where recovery begins.
    """

    timeline: int
    begins_at: Lsn


@dataclass(frozen=True, slots=True)
class WalRoute:
    """From a base backup's first record to the planned end.

    :param legs: oldest timeline first; the last is the one that recovery follows.
    :param end: the first position that need not be there. Nothing from there on exists for the recovery.
    """

    legs: tuple[Leg, ...]
    end: Lsn
    segment_bytes: int = DEFAULT_SEGMENT_BYTES

    @classmethod
    def on_one_timeline(
        cls, timeline: int, start: Lsn, end: Lsn, *, segment_bytes: int = DEFAULT_SEGMENT_BYTES
    ) -> WalRoute:
        return cls((Leg(timeline, start),), end, segment_bytes)

    @property
    def first(self) -> WalSegment:
        return self.segment(self.legs[0].begins_at.position // self.segment_bytes)

    @property
    def last(self) -> WalSegment:
        """The one that holds the byte before the end."""
        return self.segment(max(self.end.position - 1, self.legs[0].begins_at.position) // self.segment_bytes)

    def segment(self, number: int) -> WalSegment:
        """The file that holds this stretch of the stream.

        Where a timeline branched off in the middle of a segment, its own file repeats what it shares with
        its parent, and only that one may be read: the parent's goes on with what was left behind.
        """
        timeline = next(
            (
                leg.timeline
                for leg in reversed(self.legs)
                if leg.begins_at.position // self.segment_bytes <= number
            ),
            self.legs[0].timeline,
        )
        return WalSegment(timeline, number, self.segment_bytes)

    def needs(self, segment: WalSegment) -> bool:
        """Whether the recovery cannot do without it."""
        return (
            self.first.number <= segment.number <= self.last.number
            and self.segment(segment.number) == segment
        )

    def segments(self) -> Sequence[WalSegment]:
        """All of them, in order of need."""
        return [self.segment(number) for number in range(self.first.number, self.last.number + 1)]

    @property
    def size_bytes(self) -> int:
        """How much WAL lies between the start and the end."""
        return max(0, self.end - self.legs[0].begins_at)
