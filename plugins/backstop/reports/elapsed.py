"""Where a moment lies in a drawing whose axis is the time since something began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.figures import duration_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        *(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
        *(60, 120, 300, 600, 1200, 1800),
        *(3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600),
        *(86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400, 28 * 86_400),
    )
)
_APART = 74
_LEAST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the drawing with its words."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class ElapsedScale:
    """From ``origin`` at ``left`` to ``length`` later at ``right``."""

    origin: datetime
    length: timedelta
    left: float
    right: float

    def __call__(self, moment: datetime) -> float:
        """Where a moment lies; one outside lies at the edge."""
        share = (moment - self.origin) / self.length
        return round(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left), 2)

    def holds(self, moment: datetime) -> bool:
        return self.origin <= moment <= self.origin + self.length

    def ticks(self) -> tuple[Tick, ...]:
        """Round durations, so far apart that their words do not touch."""
        least = self.length * (_APART / (self.right - self.left))
        step = next((one for one in _STEPS if one >= least), least)
        count = int(self.length / step)
        return tuple(
            Tick(self(self.origin + step * number), duration_in_words(step * number) if number else "0")
            for number in range(count + 1)
        )


def scale_of(
    origin: datetime,
    ends: Iterable[datetime],
    objectives: Iterable[datetime],
    *,
    left: float,
    right: float,
    far: float = 3.0,
) -> ElapsedScale:
    """All that happened, and those objectives beside which it can still be told apart.

    :param far: an objective that lies so many times behind the end of everything is left to the edge.
    """
    happened = max((one - origin for one in ends), default=_LEAST)
    happened = max(happened, _LEAST)
    near = [one - origin for one in objectives if one - origin <= happened * far]
    return ElapsedScale(origin, max([happened, *near]) * 1.02, left, right)
