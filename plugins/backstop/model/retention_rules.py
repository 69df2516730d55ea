"""The rules that keep backups by time and number. Each says which backups it wants, and why; none deletes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.calendar_periods import CALENDAR_PERIODS, newest_of_each
from backstop.model.retention_groups import Group, Want, age_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from backstop.model.retention_policy import Candidate


def counted(group: Group) -> Iterator[Want]:
    """What is kept by number. What cannot be restored is not counted: it would take a good one's place.

    :param group: all of a kind: base backups of several clusters are counted together.
    """
    usable, policy = group.usable, group.policy
    last = usable[-policy.keep_last :] if policy.keep_last else ()
    for candidate in last:
        yield Want(candidate, f"it is one of the newest {policy.keep_last} (keep_last)")
    for period in CALENDAR_PERIODS:
        count = getattr(policy, period.rule)
        for begin, candidate in newest_of_each(
            usable, period, count, moment=lambda one: one.snapshot_at, proven=lambda one: one.proven
        ):
            what = "newest proven" if candidate.proven else "newest"
            reason = f"it is the {what} of {period.name.format(begin)} ({period.rule}: {count})"
            yield Want(candidate, reason, continuous=False)


def by_age(group: Group, cutoff: datetime, *, bases: Sequence[Group]) -> Iterator[Want]:
    """What it takes to go back to any moment since ``cutoff``, where ``keep_for`` begins.

    :param bases: all groups of base backups: once another cluster has a proven one from before the cutoff,
        nothing since then needs an older cluster.
    """
    span = in_words(group.policy.keep_for or timedelta())
    for candidate in group.backups:
        if candidate.finished_at >= cutoff:
            yield Want(candidate, f"it is not older than {span} (keep_for)")
    if replaced(group, cutoff, bases=bases):
        return
    before = [candidate for candidate in group.usable if candidate.snapshot_at <= cutoff]
    anchor = max(before, key=_moment, default=None)
    proven = max((candidate for candidate in before if candidate.proven), key=_moment, default=None)
    if anchor is not None:
        yield Want(
            anchor, f"it is the newest from before the last {span}, needed to go back so far (keep_for)"
        )
    if proven is not None and proven is not anchor:
        yield Want(proven, f"it is the newest proven one from before the last {span} (keep_for)")


def replaced(group: Group, cutoff: datetime | None, *, bases: Iterable[Group]) -> bool:
    """Whether another cluster has a proven base backup newer than all of these, from before the cutoff."""
    return group.physical and any(
        (cutoff is None or candidate.snapshot_at <= cutoff) and candidate.finished_at > group.ended_at
        for other in bases
        for candidate in other.proven
    )


def young_timeline(group: Group, cutoff: datetime | None) -> int | None:
    """The cluster's newest timeline, while older base backups may be the only ones that lead there.

    After a recovery to a point in time the newest base backup may lie beyond where the new timeline began,
    and then it does not lead onto it; an older one does. Which, only histories tell, which are encrypted. So
    all stay until the new timeline has a proven base backup of its own, from before ``keep_for`` begins.
    """
    timelines = {candidate.timeline for candidate in group.backups if candidate.timeline is not None}
    newest = max({group.wal.timeline if group.wal else 0, *timelines})
    if not any(timeline < newest for timeline in timelines):
        return None
    settled = any(
        candidate.timeline == newest and (cutoff is None or candidate.snapshot_at <= cutoff)
        for candidate in group.proven
    )
    return None if settled else newest


def floor(group: Group) -> Iterator[Want]:
    """What stays however old it is: the newest, and the newest proven ones."""
    yield Want(group.newest, f"it is the newest of the {group.name}")
    if group.usable and group.usable[-1] is not group.newest:
        yield Want(group.usable[-1], f"it is the newest of the {group.name} that has all it needs")
    count = max(1, group.policy.min_proven)
    for candidate in group.proven[-count:]:
        yield Want(candidate, f"it is one of the newest {count} that are proven (min_proven)")


def unfollowed(group: Group) -> list[Candidate]:
    """What no proven one is newer than."""
    if not group.proven:
        return group.backups
    last = age_of(group.proven[-1])
    return [candidate for candidate in group.backups if age_of(candidate) > last]


def in_words(duration: timedelta) -> str:
    """``30 days``, ``36 hours``, ``90 seconds``."""
    seconds = int(duration.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % size == 0 and seconds:
            return _plural(seconds // size, unit)
    return _plural(seconds, "second")


def _plural(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _moment(candidate: Candidate) -> tuple[datetime, datetime, str]:
    return candidate.snapshot_at, *age_of(candidate)
