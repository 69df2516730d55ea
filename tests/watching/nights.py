"""Backups of a month as they come in life: noise in sizes and durations, slow nights, retries, odd clocks.

Drawn from a seed; each kind has dice of its own, so that planting a fault in one shifts nothing else.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from random import Random

from croniter import croniter

BEGIN = datetime(2026, 11, 2, tzinfo=timezone.utc)
"""A Monday."""
DAY = timedelta(days=1)
GB = 10**9


@dataclass(frozen=True)
class Kind:
    """How one kind of backup behaves.

    :param noise: standard deviation of the size's logarithm. :param weekend: share of it on a weekend.
    :param growth: of a day. :param slow: how often a night takes up to ``slowest`` times as long.
    """

    name: str
    schedule: str
    bytes: float
    duration: timedelta
    noise: float = 0.03
    weekend: float = 1.0
    growth: float = 0.0
    slow: float = 0.05
    slowest: float = 2.5


KINDS = (
    Kind("dump", "0 1 * * *", 20 * GB, timedelta(minutes=22), weekend=0.7, growth=0.005),
    Kind("dump of a small one", "30 0 * * *", 4e6, timedelta(seconds=9), noise=0.01, slowest=60),
    Kind("fast growing", "0 2 * * *", 50 * GB, timedelta(minutes=20), growth=0.03),
    Kind("full", "0 3 * * 0", 300 * GB, timedelta(hours=3), growth=0.004, slowest=1.8),
    Kind("incremental", "0 3 * * 1-6", 9 * GB, timedelta(minutes=12), noise=0.35, weekend=0.5),
    Kind("tree:media", "0 2 * * *", 80 * GB, timedelta(minutes=15), noise=0.001, growth=0.002),
    Kind("hourly", "17 * * * *", 1 * GB, timedelta(minutes=3), noise=0.05, slowest=4),
)


@dataclass(frozen=True)
class Backup:
    """One that was published, and the restore that proved it some hours later."""

    due: datetime
    ended: datetime
    seconds: float
    bytes: int
    proven: datetime
    restore_seconds: float


@dataclass
class History:
    """All backups of one kind, oldest first."""

    kind: Kind
    backups: list[Backup] = field(default_factory=list)

    @classmethod
    def live(cls, kind: Kind, *, days: int, seed: int) -> History:
        """Nothing goes wrong that time does not heal."""
        dice = Random(f"{seed} {kind.name}")
        history = cls(kind)
        ticks = croniter(kind.schedule, BEGIN - timedelta(seconds=1))
        while (due := ticks.get_next(datetime)) < BEGIN + days * DAY:
            history.backups.append(_backup(kind, due, dice))
        return history

    def without(self, *numbers: int) -> History:
        """As if these had never run."""
        return History(self.kind, [one for at, one in enumerate(self.backups) if at not in numbers])

    def resized(self, number: int, share: float) -> History:
        """As if one had had only this share of its size."""
        backups = list(self.backups)
        backups[number] = replace(backups[number], bytes=round(backups[number].bytes * share))
        return History(self.kind, backups)

    def ended_by(self, now: datetime) -> list[Backup]:
        """What was published by then: the order of publication is that of the due times."""
        return self.backups[: bisect_right(self.backups, now, key=lambda one: one.ended)]


def _backup(kind: Kind, due: datetime, dice: Random) -> Backup:
    seconds = kind.duration.total_seconds() * dice.lognormvariate(0, 0.12)
    if dice.random() < kind.slow:
        seconds *= dice.uniform(1.2, kind.slowest)
    retry = dice.uniform(60, 300) if dice.random() < 0.03 else 0.0
    start = dice.uniform(2, 90)
    clock = dice.gauss(0, 4) + (dice.choice((-80, 80)) if dice.random() < 0.02 else 0)
    age = (due - BEGIN) / DAY
    size = kind.bytes * math.exp(kind.growth * age) * dice.lognormvariate(0, kind.noise)
    if due.weekday() >= 5:
        size *= kind.weekend
    ended = due + timedelta(seconds=start + retry + seconds + clock)
    restore = (20 + size / 2e8) * dice.lognormvariate(0, 0.15) * (2.5 if dice.random() < 0.03 else 1)
    return Backup(due, ended, seconds, round(size), ended + timedelta(minutes=dice.uniform(5, 600)), restore)
