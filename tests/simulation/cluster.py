"""A cluster that writes WAL, is promoted and upgraded: positions and names, no server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.lsn import DEFAULT_SEGMENT_BYTES as SEGMENT
from backstop.model.lsn import Lsn, WalSegment
from backstop.repository.wal_names import WalNames

if TYPE_CHECKING:
    import random


@dataclass(eq=False)
class Cluster:
    """One system identifier under one target.

    :param position: up to here the current timeline has been written.
    :param switches: for each timeline but the first, its parent and where it left it.
    :param shipped: up to here a receiver has stored it.
    """

    target: str
    system_id: str
    dice: random.Random = field(repr=False)
    timeline: int = 1
    position: int = SEGMENT
    shipped: int = SEGMENT
    switches: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def names(self) -> WalNames:
        return WalNames(self.target, self.system_id)

    def write(self, segments: float) -> None:
        """So much WAL, on a boundary of 1 KiB."""
        self.position += max(1024, int(segments * SEGMENT) // 1024 * 1024)

    def segment(self, number: int, timeline: int | None = None) -> WalSegment:
        return WalSegment(timeline or self.timeline, number)

    def promote(self) -> str:
        """A new timeline from here on. :returns: the name of its history file in a repository."""
        self.switches[self.timeline + 1] = self.timeline, self.position
        self.timeline += 1
        # The new primary copies the segment up to the switch: under its own it is shipped from there.
        self.shipped = self.position // SEGMENT * SEGMENT
        text = f"{self.timeline - 1}\t{Lsn(self.position)}\tno recovery target specified\n"
        return self.names.history(self.timeline, hashlib.sha256(text.encode()).hexdigest())

    def unshipped(self) -> tuple[list[str], str | None]:
        """What a receiver stores now: the segments that became whole, and the piece of the one that grows."""
        first, last = self.shipped // SEGMENT, self.position // SEGMENT
        whole = [self.names.segment(self.segment(number), self._sha(number)) for number in range(first, last)]
        grown = self.position - last * SEGMENT
        piece = self.names.delta(self.segment(last), 0, grown, self._sha(last)) if grown else None
        self.shipped = self.position
        return whole, piece

    def _sha(self, number: int) -> str:
        return hashlib.sha256(f"{self.system_id}/{self.timeline}/{number}".encode()).hexdigest()

    def way_to(self, timeline: int) -> list[tuple[int, int, int | None]]:
        """``(timeline, begin, end)`` of each part of the way there, the oldest first; the last has no end."""
        way: list[tuple[int, int, int | None]] = []
        end: int | None = None
        while True:
            parent, begin = self.switches.get(timeline, (0, 0))
            way.insert(0, (timeline, begin, end))
            if not parent:
                return way
            timeline, end = parent, begin
