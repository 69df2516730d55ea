"""Where a moment or a value lies in a drawing, and what stands at its axes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from math import floor, log10

_MIDNIGHT = datetime(2001, 1, 1, tzinfo=timezone.utc)  # a Monday, so that weeks begin on one
_STEPS = tuple(
    timedelta(hours=hours) for hours in (1, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24, 56 * 24, 112 * 24)
)


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the drawing with its words."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class TimeScale:
    """From ``begins_at`` at ``left`` to ``ends_at`` at ``right``."""

    begins_at: datetime
    ends_at: datetime
    left: float
    right: float

    def __call__(self, moment: datetime) -> float:
        """Where a moment lies; one outside lies at the edge."""
        share = (moment - self.begins_at) / (self.ends_at - self.begins_at)
        return round(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left), 2)

    def ticks(self, *, apart: float = 62) -> tuple[Tick, ...]:
        """Round moments (UTC), at least so far apart that their words do not touch."""
        least = (self.ends_at - self.begins_at) * (apart / (self.right - self.left))
        step = next((one for one in _STEPS if one >= least), max(_STEPS[-1], least))
        first = _MIDNIGHT + -((_MIDNIGHT - self.begins_at) // step) * step
        count = int((self.ends_at - first) / step) + 1
        moments = [first + step * number for number in range(count)]
        return tuple(
            Tick(self(moment), _in_words(moment, step))
            for moment in moments
            if self.begins_at <= moment <= self.ends_at
        )


def _in_words(moment: datetime, step: timedelta) -> str:
    if step < timedelta(days=1) and moment.hour:
        return f"{moment:%H:%M}"
    return f"{moment.day} {moment:%b}"


_LEAST = 1e-6
_SECONDS = (1, 2, 4, 10, 20, 60, 120, 240, 600, 1200, 3600, 7200, 14_400, 43_200, 86_400)


def round_up_seconds(value: float) -> float:
    """The next duration above that is round, and whose half is."""
    return next((float(one) for one in _SECONDS if one >= value), round_up(value / 86_400) * 86_400)


def round_up(value: float) -> float:
    """The next value above that people count in: 1, 2, 4 or 6 of a power of ten."""
    if value < _LEAST:
        return 1.0
    power: float = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 4, 6, 10) if step * power >= value * 0.999999)
