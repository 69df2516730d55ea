"""Which backups of a target one repository still keeps, and why. Pure: it deletes nothing.

What may go is decided from manifests and signed proofs alone, never from names, upload dates or listings.
Every decision has its reasons in words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstop.model.retention_clock import age_moment, dated_ahead
from backstop.model.retention_drop import still_compared
from backstop.model.retention_groups import (
    DUMPS,
    Group,
    Want,
    age_of,
    cutoff_of,
    grouped,
    oldest_first,
    successor,
    superseded,
)
from backstop.model.retention_holdups import Holdup, dropped, dropped_rows, new_timeline, nothing_proven
from backstop.model.retention_kept import Kept, why_they_go
from backstop.model.retention_policy import Candidate, RetentionPolicy, WalSeen
from backstop.model.retention_rules import by_age, counted, floor
from backstop.model.retention_twins import Twins, find_twins
from backstop.model.wal_retention import WalRange, ended_clusters, wal_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.model.lsn import Lsn

__all__ = [
    "Candidate",
    "Decision",
    "RetentionPlan",
    "RetentionPolicy",
    "WalRange",
    "WalSeen",
    "apply_retention",
]


@dataclass(frozen=True, slots=True)
class Decision:
    """About one backup: whether it stays, and every reason, in words that name their rule."""

    label: BackupLabel
    keep: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        verdict = "keep, because" if self.keep else "expires:"
        return f"{self.label}: {verdict} {'; '.join(self.reasons)}"


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What becomes of every backup of a target in one repository.

    :param decisions: oldest first; one a backup.
    :param wal: what stays of the WAL of each cluster that it names; None: all stays.
    :param blocked: sentences that say why something stays now, although its age would let it go.
    :param wal_ended: clusters of which no WAL is needed any more.
    """

    decisions: tuple[Decision, ...]
    wal: tuple[WalRange, ...] | None
    blocked: tuple[str, ...]
    wal_ended: tuple[str, ...] = ()

    @property
    def expired(self) -> tuple[BackupLabel, ...]:
        """What may go."""
        return tuple(decision.label for decision in self.decisions if not decision.keep)

    def wal_has_ended(self, system_id: str) -> bool:
        """Whether nothing of a cluster's WAL stays, histories of its timelines included."""
        if self.wal is None or system_id not in self.wal_ended:
            return False
        return not any(one.system_id == system_id for one in self.wal)

    def keeps_wal(self, system_id: str, *, timeline: int, begin: Lsn, end: Lsn) -> bool:
        """Whether a segment, or a piece of one, from ``begin`` up to ``end`` (not included) must stay.

        WAL of a cluster that this plan does not know stays: its first base backup may be running.
        """
        if self.wal is None:
            return True
        known = system_id in self.wal_ended
        for one in self.wal:
            if one.system_id == system_id:
                if one.holds(timeline=timeline, begin=begin, end=end):
                    return True
                known = True
        return not known


def apply_retention(
    backups: Iterable[Candidate],
    *,
    policies: Callable[[BackupLabel], RetentionPolicy],
    now: datetime,
    accepted: Collection[BackupLabel] = (),
    seen: Mapping[str, WalSeen] | None = None,
) -> RetentionPlan:
    """Decide about one repository's backups of one target. The same for every order of the input.

    Nothing goes unless a proven backup that can stand in for it is newer; see docs/retention.md for how the
    rules go together.

    :param backups: all of them. Whoever cannot read a manifest must not leave it out, but plan nothing.
    :param policies: the same for all backups of a kind (dumps; base backups; each tree).
    :param accepted: backups that somebody has looked at: at their drop in rows or files, or at a date that is
        still to come.
    :param seen: what names tell of each cluster's WAL, by system identifier.
    :raises ConfigurationError: ``now`` cannot be the present: before the newest backup, or far after it. A
        little may be clocks that differ; and what ``accepted`` names is left out of it.
    :raises ValueError: two backups have the same label.
    """
    candidates = oldest_first(backups)
    ahead = dated_ahead(candidates, now, accepted)
    dated = [candidate for candidate in candidates if candidate.label not in ahead]
    kept = Kept()
    kept.add(Want(one, "its date is still to come") for one in candidates if one.label in ahead)
    if not dated:
        return RetentionPlan(tuple(_decisions(candidates, (), (), kept, {})), None, ())
    moment, seen = age_moment(dated, now), seen or {}
    twins = find_twins(candidates, ahead)
    staying = [candidate for candidate in candidates if candidate.label not in twins.gone]
    groups = grouped(staying, policies, seen, ahead)
    bases = [group for group in groups if group.physical]
    blocked: list[str] = []
    kept.add(twins.wanted())
    for group in groups:
        kept.add(_wanted(group, moment, bases, twins))
    for kind in _kinds(groups):
        kept.add(counted(twins.once(kind)))
    for group in groups:
        for holdup in _holdups(group, moment, groups, accepted):
            if kept.add(holdup.wants) or holdup.told_early:
                blocked.append(holdup.sentence)
    by_label = {candidate.label: candidate for candidate in staying}
    for group in groups:
        kept.add(still_compared(group, accepted, kept.closure(by_label)))
    kept.add_needed(by_label)
    return RetentionPlan(
        tuple(_decisions(candidates, groups, bases, kept, twins.gone)),
        _wal(bases, kept),
        tuple(blocked),
        tuple(
            ended_clusters(
                seen,
                bases,
                kept.reasons,
                moment,
                ahead={one.system_id for one in candidates if one.label in ahead and one.label.kind.physical},
            )
        ),
    )


def _kinds(groups: Sequence[Group]) -> Iterator[Group]:
    """The groups, base backups of all clusters as one."""
    yield from (group for group in groups if not group.physical)
    bases = [group for group in groups if group.physical]
    if bases:
        every = sorted((one for group in bases for one in group.usable), key=age_of)
        yield replace(bases[0], usable=every)


def _wanted(group: Group, moment: datetime, bases: Sequence[Group], twins: Twins) -> Iterator[Want]:
    """What is wanted from outside, by age, and whatever the age."""
    for candidate in group.backups:
        for reason in candidate.kept_because:
            yield Want(candidate, reason, continuous=candidate.read_now)
    if group.policy.keeps_everything:
        yield from (Want(candidate, group.policy.without_rules) for candidate in group.backups)
    cutoff = cutoff_of(group.policy, moment)
    if cutoff is not None:
        yield from by_age(group, cutoff, bases=bases)
    if not superseded(group, bases):
        yield from floor(twins.once(group))


def _holdups(
    group: Group, moment: datetime, groups: Sequence[Group], accepted: Collection[BackupLabel]
) -> Iterator[Holdup]:
    bases = [one for one in groups if one.physical]
    if not superseded(group, bases):
        yield from nothing_proven(group)
    if group.physical:
        yield from new_timeline(group, moment, bases=bases)
        yield from dropped_rows(group, (one for one in groups if one.kind == DUMPS), accepted)
    yield from dropped(group, accepted)


def _decisions(
    candidates: Sequence[Candidate],
    groups: Sequence[Group],
    bases: Sequence[Group],
    kept: Kept,
    replaced: Mapping[BackupLabel, str],
) -> Iterator[Decision]:
    """One a backup, in the order of ``candidates``."""
    gone: dict[BackupLabel, tuple[str, ...]] = {label: (reason,) for label, reason in replaced.items()}
    for group in groups:
        reasons = why_they_go(group, successor=successor(group, bases))
        gone |= {one.label: reasons for one in group.backups if one.label not in kept.reasons}
    for candidate in candidates:
        keep = candidate.label in kept.reasons
        reasons = tuple(kept.reasons[candidate.label]) if keep else gone[candidate.label]
        yield Decision(candidate.label, keep, reasons)


def _wal(bases: Sequence[Group], kept: Kept) -> tuple[WalRange, ...] | None:
    if not bases or bases[0].policy.keeps_everything:
        return None
    ranges: list[WalRange] = []
    for group in bases:
        blocked = not superseded(group, bases) and not group.proven
        ranges += wal_ranges(group, kept.reasons, kept.continuous, blocked=blocked)
    return tuple(ranges)
