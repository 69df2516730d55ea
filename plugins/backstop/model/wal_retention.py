"""Which WAL must stay for the base backups that stay. Always the minimum over all of them.

A base backup that the recovery window needs wants all WAL from its start up to now, on its timeline and on
every later one. One that is only kept for the record (daily, weekly, monthly, yearly, a hold) wants no more
than what makes it consistent: from its start to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn
from backstop.model.retention_groups import age_of, cutoff_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.model.retention_groups import Group
    from backstop.model.retention_policy import WalSeen


@dataclass(frozen=True, slots=True)
class WalRange:
    """WAL of one cluster that must stay, in words why.

    :param timeline: this one and every later one of the cluster.
    :param start: from the segment that holds it; :param end: up to there; None: up to now.
    """

    system_id: str
    timeline: int
    start: Lsn
    end: Lsn | None
    reason: str

    def holds(self, *, timeline: int, begin: Lsn, end: Lsn) -> bool:
        """Whether anything from ``begin`` up to ``end`` (not included) of that timeline must stay."""
        return timeline >= self.timeline and self.start < end and (self.end is None or begin <= self.end)


def wal_ranges(
    group: Group, kept: Collection[BackupLabel], continuous: Collection[BackupLabel], *, blocked: bool
) -> Iterator[WalRange]:
    """What stays of one cluster's WAL; nothing when none of its base backups stay.

    :param blocked: none of its base backups is proven, and no other cluster has taken its place.
    """
    system_id = group.newest.system_id
    staying = [candidate for candidate in (*group.backups, *group.ahead) if candidate.label in kept]
    if not staying:
        return
    if blocked or any(None in (one.timeline, one.start, one.end) for one in staying):
        why = "nothing of it goes while none of its base backups is proven"
        if not blocked:
            why = "a base backup of it does not say which WAL it needs"
        yield WalRange(system_id, 1, Lsn(0), None, why)
        return
    rolled = [one for one in staying if one.label in continuous]
    openings = []
    if rolled:
        first = min(rolled, key=lambda one: (one.start, age_of(one)))
        timeline = min(one.timeline or 1 for one in rolled)
        start = first.start or Lsn(0)
        openings.append((timeline, start))
        yield WalRange(
            system_id, timeline, start, None, f"{first.label} is rolled forward from there up to now"
        )
    for one in staying:
        timeline, start = one.timeline or 1, one.start or Lsn(0)
        if any(timeline >= opened and start >= begin for opened, begin in openings):
            continue
        yield WalRange(system_id, timeline, start, one.end, f"{one.label} is consistent with it, and kept")


def ended_clusters(
    seen: Mapping[str, WalSeen],
    bases: Sequence[Group],
    kept: Collection[BackupLabel],
    moment: datetime,
    *,
    ahead: Collection[str] = (),
) -> Iterator[str]:
    """Clusters none of whose WAL is needed: their last base backup is gone, and others are proven since.

    A cluster of which there is WAL and no base backup may be about to get its first one. Its WAL goes only
    when it ended before the time that ``keep_for`` asks for, and before proven base backups of others.
    """
    with_bases = {group.newest.system_id for group in bases} | {*ahead}
    for group in bases:
        if not group.ahead and not any(candidate.label in kept for candidate in group.backups):
            yield group.newest.system_id
    if not bases:
        return
    policy = max(bases, key=lambda group: age_of(group.newest)).policy
    cutoff = cutoff_of(policy, moment)
    for system_id, wal in sorted(seen.items()):
        newer = sum(one.finished_at > wal.stored_at for group in bases for one in group.proven)
        if (
            system_id not in with_bases
            and not policy.keeps_everything
            and newer >= max(1, policy.min_proven)
            and (cutoff is None or wal.stored_at < cutoff)
        ):
            yield system_id
