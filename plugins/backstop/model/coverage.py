"""How far a run of pieces, acknowledged in any order, reaches without a gap."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.model.lsn import Lsn


class Coverage:
    """Everything before :attr:`end` is there; pieces beyond a gap wait until it is filled."""

    def __init__(self, end: Lsn) -> None:
        self._end = end
        self._beyond: list[tuple[Lsn, Lsn]] = []

    @property
    def end(self) -> Lsn:
        return self._end

    def add(self, start: Lsn, end: Lsn) -> bool:
        """Note that everything from ``start`` up to ``end`` is there; whether :attr:`end` moved."""
        if end <= self._end:
            return False
        insort(self._beyond, (start, end))
        before = self._end
        while self._beyond and self._beyond[0][0] <= self._end:
            self._end = max(self._end, self._beyond.pop(0)[1])
        return self._end > before
