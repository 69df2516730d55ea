"""What should have gone by now is gone, and nothing lies about that nobody names."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation.dues import due_backups, due_wal
from tests.simulation.policies import GRACE

if TYPE_CHECKING:
    from tests.simulation.judge import Judge
    from tests.simulation.oracle import Sight

_ONE_DAY = timedelta(days=1)
_LONG_AGO = timedelta(days=59)
#: So many nights, in which nothing stood in the way, may leave something that should have gone.
_PATIENCE = 4


class Tidiness:
    """Counts the days on which something is still there."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._late: Counter[tuple[str, str, str]] = Counter()

    def end_of_day(self) -> None:
        """Look into every repository that can be reached."""
        world = self._judge.world
        for target in world.targets:
            for name in world.reachable():
                sight = self._judge.sight(name, target.name)
                # One that a wrong clock dated ahead makes expiry refuse until its time has come.
                ahead = any(made.at > world.now for made in sight.backups.values())
                # Two months without any backup, as after a renaming, it refuses for good.
                newest = max((made.at for made in sight.backups.values()), default=world.now)
                refuses = world.wrong_by or ahead or world.now - newest > _LONG_AGO
                late = set() if refuses else self._lying_about(sight)
                for place in [place for place in self._late if place[:2] == (name, target.name)]:
                    if place[2] not in late:
                        del self._late[place]
                if (name, target.name) in self._judge.hindered:
                    continue
                for one in late:
                    self._late[name, target.name, one] += 1
                    if self._late[name, target.name, one] == _PATIENCE:
                        self._judge.say(f"{one} of {target.name} is still in {name}")

    def _lying_about(self, sight: Sight) -> set[str]:
        judge = self._judge
        due = [made for made in due_backups(judge, sight) if not judge.dropped(sight, made.group)]
        if judge.dropped(sight, "dump"):
            # They lead back to before the rows were lost, until somebody has looked.
            found = {made.label for made in due if made.cluster is None}
        else:
            found = {made.label for made in due} | due_wal(judge, sight)
        named = {key for made in sight.backups.values() for key in made.keys}
        for folder in ("database", "trees"):
            prefix = f"{sight.target}/data/{folder}/"
            for key in sight.shelf.keys(prefix):
                age = judge.world.now - sight.shelf.info(key).modified_at
                if key not in named and age > GRACE + _ONE_DAY:
                    found.add(key)
        found |= {f"{key} (an old version)" for key in sight.shelf.hidden(f"{sight.target}/data/")}
        for folder in ("proofs", "pins", "holds", "expiring"):
            prefix = f"{sight.target}/meta/{folder}/"
            for key in sight.shelf.keys(prefix):
                label = key.removeprefix(prefix).split("/")[0].removesuffix(".json")
                if label not in sight.labels or folder == "expiring":
                    found.add(key)
        return found
