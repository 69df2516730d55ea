"""Which part of a repository a check reads, so that successive checks come by everything. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

CIRCLE = 2**64
"""Every key has a place on a circle of so many places, spread evenly and without regard to what it names."""


@dataclass(frozen=True, slots=True)
class Arc:
    """A stretch of the circle from ``start`` on, ``width`` places wide: the next one begins where it ends.

    :param seed: another one puts keys in other places; arcs of one seed are disjoint.
    """

    start: int
    width: int
    seed: int = 0

    @classmethod
    def of_share(cls, share: float, *, start: int = 0, seed: int = 0) -> Arc:
        """So wide that a key lies in it with this probability; 1 and more is the whole circle.

        :raises ValueError: no share at all.
        """
        if not share > 0:
            raise ValueError(f"a share of {share} is nothing; expected more than 0, at most 1")
        width = CIRCLE if share >= 1 else max(1, round(share * CIRCLE))
        return cls(start % CIRCLE, width, seed)

    @property
    def end(self) -> int:
        """Where the next arc begins."""
        return (self.start + self.width) % CIRCLE

    @property
    def whole(self) -> bool:
        return self.width >= CIRCLE

    def distance(self, key: str) -> int:
        """How far behind the start the key lies: an arc is read in this order."""
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return (int.from_bytes(digest[:8], "big") - self.start) % CIRCLE

    def has(self, key: str) -> bool:
        return self.distance(key) < self.width
