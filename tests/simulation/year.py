"""What goes wrong in a year, and when: drawn once from the seed, so that a day's dice shift nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

#: How a streak of failures looks: nothing at all, payload without a manifest, a verifier that does not run,
#: verifications that do not match.
STREAKS = ("nothing is backed up", "backups die half-way", "nothing is verified", "no verification matches")
#: Days and a year, in days: what a clock is off by.
WRONG_CLOCKS = (1, -1, 365, -365, 25, -20)

#: How a promotion comes about, besides the plain one.
OLD_PRIMARY_WENT_ON, BACK_IN_TIME = 1, 2


@dataclass(frozen=True)
class Trouble:
    """From one day to another, both included."""

    what: str
    first: int
    last: int
    value: int = 0

    def on(self, day: int) -> bool:
        return self.first <= day <= self.last


@dataclass
class Year:
    """All troubles of a simulation."""

    troubles: list[Trouble] = field(default_factory=list)

    @classmethod
    def draw(cls, dice: random.Random, days: int) -> Year:
        """Every kind at least once, in however few days; more of them in a longer time."""
        year = cls()
        more = max(1, days // 120)
        year._add(dice, days, dice.choice(STREAKS), length=40)
        for _ in range(more):
            year._add(dice, days, dice.choice(STREAKS), length=dice.randint(3, 25))
            year._add(dice, days, "s3 is down", length=dice.randint(1, 12))
            year._add(dice, days, "local is down", length=dice.randint(1, 3))
            year._add(dice, days, "promotion", value=dice.randint(0, 2))
            year._add(dice, days, "rows drop", length=dice.randint(3, 20))
            year._add(dice, days, "files drop", length=dice.randint(3, 20))
        year._add(dice, days, "no keys", length=dice.randint(2, 6), value=dice.randint(0, 1))
        year._add(dice, days, "promotion", value=BACK_IN_TIME)
        year._add(dice, days, "pg_upgrade")
        year._add(dice, days, "renamed")
        for wrong_by in WRONG_CLOCKS:
            year._add(dice, days, "wrong clock", value=wrong_by)
        return year

    def _add(self, dice: random.Random, days: int, what: str, *, length: int = 1, value: int = 0) -> None:
        first = dice.randint(8, max(8, days - length - 3))
        self.troubles.append(Trouble(what, first, first + length - 1, value))

    def today(self, day: int) -> dict[str, Trouble]:
        """Whatever is the case, by what it is."""
        return {trouble.what: trouble for trouble in self.troubles if trouble.on(day)}

    def begin(self, day: int) -> list[Trouble]:
        return [trouble for trouble in self.troubles if trouble.first == day]
