"""What should have gone by now: so generous that a right program never keeps more for long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.backup import BackupLabel
from backstop.model.lsn import DEFAULT_SEGMENT_BYTES as SEGMENT
from tests.simulation.policies import policy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from tests.simulation.chronicle import Made
    from tests.simulation.judge import Judge
    from tests.simulation.oracle import Sight

_SLACK = timedelta(days=3)
_PERIODS: dict[str, Callable[[datetime], object]] = {
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}


def groups_of(sight: Sight) -> dict[str, list[Made]]:
    """What replaces each other, the oldest first."""
    found: dict[str, list[Made]] = {}
    for made in sorted(sight.backups.values(), key=lambda one: one.at):
        found.setdefault(made.group, []).append(made)
    return found


def due_backups(judge: Judge, sight: Sight) -> list[Made]:
    """Backups that no rule can want any more."""
    found: list[Made] = []
    proven = set(sight.proven)
    for made in groups_of(sight).values():
        stay = _wanted(judge, sight, made, proven)
        wanted = {one.label for one in made if one in stay}
        wanted |= {label for one in made if one in stay for label in one.needs}
        found += [one for one in made if one.label not in wanted]
    return found


def _wanted(judge: Judge, sight: Sight, made: list[Made], proven: set[Made]) -> set[Made]:
    """Of one group, oldest first: by any reading of any rule."""
    policy = policy_of(sight.repository, BackupLabel(made[0].label))
    begin = judge.believed_now(sight) - policy.keep_for - _SLACK
    if _timeline_is_young(made, begin, proven, sight.newest_timeline(made[0].group)):
        return set(made)
    stay = {one for one in made if one.at >= begin}
    for some in (made, [one for one in made if one in proven]):
        stay |= set(some[-max(policy.min_proven, policy.keep_last, 1) :])
        stay |= set([one for one in some if one.at < begin][-1:])
        for name, period in _PERIODS.items():
            stay |= _newest_of_each(some, period, getattr(policy, name))
    newest = max((one.at for one in made if one in proven), default=None)
    stay |= {one for one in made if newest is None or one.at >= newest}
    # What somebody accepted stays to be compared with, while an older one holds so much more.
    accepted = judge.world.chronicle.accepted
    stay |= {one for one in made if (one.target, one.label) in accepted}
    return stay | {one for one in made if judge.wanted_anywhere(sight.target, one.label)}


def _newest_of_each(made: Iterable[Made], period: Callable[[datetime], object], count: int) -> set[Made]:
    newest: dict[object, Made] = {}
    for one in made:
        newest[period(one.at)] = one
    return set(list(newest.values())[-count:]) if count else set()


def due_wal(judge: Judge, sight: Sight) -> set[str]:
    """WAL from before every base backup that recovery could begin with, and within none of them."""
    found: set[str] = set()
    groups = groups_of(sight)
    policy = policy_of(sight.repository, BackupLabel("20260101T000000Z-full"))
    begin = judge.believed_now(sight) - policy.keep_for - _SLACK
    for system_id in sight.systems():
        bases = groups.get(system_id, [])
        newest_timeline = sight.newest_timeline(system_id)
        proven = [one for one in bases if one in set(sight.proven)]
        if not proven or _timeline_is_young(bases, begin, proven, newest_timeline):
            continue
        anchors = [one for one in bases if one.at >= begin]
        for some in (bases, proven):
            anchors += [one for one in some if one.at < begin][-1:]
            anchors += some[-policy.min_proven :]
        anchors += [one for one in bases if judge.wanted_anywhere(sight.target, one.label)]
        # Both by position: timelines of one cluster go on where they were left.
        first = min(one.start for one in anchors) // SEGMENT
        inside = {number for one in bases for number in range(one.start // SEGMENT, one.end // SEGMENT + 1)}
        found |= {key for number, key in sight.wal_keys(system_id) if number < first and number not in inside}
    return found


def _timeline_is_young(
    made: Sequence[Made], begin: datetime, proven: Collection[Made], newest_timeline: int
) -> bool:
    """After a promotion nobody without keys can tell which older backups lead onto the new timeline."""
    if not made[0].cluster or newest_timeline == 1:
        return False
    return not any(one.timeline == newest_timeline and one.at < begin and one in proven for one in made)
