"""A year of one target, from one seed, in seconds."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.simulation.day import Days
from tests.simulation.judge import Findings, Judge
from tests.simulation.nightly import Procedures
from tests.simulation.quick import one_thread
from tests.simulation.tidiness import Tidiness
from tests.simulation.world import World
from tests.simulation.year import Year

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulation.shelf import Shelf

_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")


def simulate(seed: int | str, days: int = 365, *, folder: Path, enough: int = 12) -> Findings:
    """Live through so many days; the same seed is the same year.

    :param folder: for the keys that sign manifests and proofs, and for what is being copied.
    :param enough: after so many violations it is over.
    """
    dice = random.Random(f"year/{seed}")
    year = Year.draw(dice, days)
    world = World(dice, folder)
    judge = Judge(world)
    life = Days(world, year, Procedures(world, folder), judge, Tidiness(judge))
    with _machine_in(dice.choice(_ZONES)), one_thread():
        for day in range(days):
            judge.day = day
            life.live(day)
            if len(judge.findings.violations) >= enough:
                break
    judge.findings.counts.update(_left(world.shelves))
    return judge.findings


@contextmanager
def _machine_in(zone: str) -> Iterator[None]:
    """Run with this local time: nothing may depend on it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def _left(shelves: dict[str, Shelf]) -> dict[str, int]:
    return {f"objects left in {name}": len(shelf) for name, shelf in shelves.items()}
