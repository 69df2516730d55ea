"""Backups of one kind, in the order in which retention looks at them.

Order is by when a backup finished, never by its name or timeline: timelines begin anew after a pg_upgrade,
and what is then newest would seem oldest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from backstop.model.backup import BackupLabel
    from backstop.model.retention_policy import Candidate, RetentionPolicy, WalSeen

STANDSTILL = timedelta(days=2)
"""So long without any backup, backups stop growing older: nothing goes by age while nothing new comes."""
BASES = "base backups"
DUMPS = "dumps"


class Want(NamedTuple):
    """One rule wants one backup.

    :param reason: in words, after "keep, because".
    :param continuous: of a base backup: all WAL behind it is wanted too, not only what makes it consistent.
    """

    candidate: Candidate
    reason: str
    continuous: bool = True


@dataclass(slots=True)
class Group:
    """Backups that can stand in for each other: all dumps, base backups of one cluster, one file tree.

    :param name: for people; unlike others' names.
    :param kind: those of one kind have one policy, and are counted together.
    :param wal: what names tell of the cluster's WAL; of base backups only.
    :param backups: oldest first; all but those that are dated ahead.
    :param usable: those of them that have everything they need.
    :param ahead: those that are dated ahead.
    """

    name: str
    kind: str
    policy: RetentionPolicy
    wal: WalSeen | None = None
    backups: list[Candidate] = field(default_factory=list)
    usable: list[Candidate] = field(default_factory=list)
    ahead: list[Candidate] = field(default_factory=list)

    @property
    def physical(self) -> bool:
        """Whether they are base backups, which need WAL."""
        return self.kind == BASES

    @property
    def unit(self) -> str:
        """What their content is counted in."""
        return "files" if self.kind.startswith("tree") else "rows"

    @property
    def newest(self) -> Candidate:
        return self.backups[-1]

    @property
    def ended_at(self) -> datetime:
        """When the newest sign of it came. As long as a cluster writes WAL, no other takes its place."""
        finished_at = self.newest.finished_at
        return max(finished_at, self.wal.stored_at) if self.wal else finished_at

    @property
    def proven(self) -> list[Candidate]:
        """Usable and proven, oldest first."""
        return [candidate for candidate in self.usable if candidate.proven]


def age_of(candidate: Candidate) -> tuple[datetime, str]:
    """Sorts older before newer; what finished at the same moment, by label, so that it is always the same."""
    return candidate.finished_at, str(candidate.label)


def oldest_first(backups: Iterable[Candidate]) -> list[Candidate]:
    """:raises ValueError: two of them have the same label."""
    ordered = sorted(backups, key=age_of)
    if len({candidate.label for candidate in ordered}) != len(ordered):
        raise ValueError("two backups of one repository have the same label")
    return ordered


def grouped(
    candidates: Sequence[Candidate],
    policies: Callable[[BackupLabel], RetentionPolicy],
    seen: Mapping[str, WalSeen],
    ahead: Collection[BackupLabel],
) -> list[Group]:
    """What can stand in for each other. What is only dated ahead makes no group.

    :param candidates: oldest first.
    :param policies: asked for the newest of each kind.
    """
    groups: dict[str, Group] = {}
    kinds: dict[str, RetentionPolicy] = {}
    usable = usable_labels(candidates)
    for candidate in reversed(candidates):
        if candidate.label in ahead:
            continue
        kind, name = _kind_and_name(candidate)
        if kind not in kinds:
            kinds[kind] = policies(candidate.label)
        if name not in groups:
            wal = seen.get(candidate.system_id) if kind == BASES else None
            groups[name] = Group(name, kind, kinds[kind], wal)
        groups[name].backups.append(candidate)
        if candidate.label in usable:
            groups[name].usable.append(candidate)
    for candidate in candidates:
        name = _kind_and_name(candidate)[1]
        if candidate.label in ahead and name in groups:
            groups[name].ahead.append(candidate)
    for group in groups.values():
        group.backups.reverse()
        group.usable.reverse()
    return [groups[name] for name in sorted(groups)]


def _kind_and_name(candidate: Candidate) -> tuple[str, str]:
    label = candidate.label
    if label.kind.physical:
        return BASES, f"base backups of cluster {candidate.system_id}"
    if label.tree:
        return f"tree {label.tree}", f"backups of tree {label.tree}"
    return DUMPS, DUMPS


def usable_labels(backups: Sequence[Candidate]) -> set[BackupLabel]:
    """Those whose needs, and theirs in turn, are all there."""
    waiting: dict[BackupLabel, list[BackupLabel]] = {}
    known = {candidate.label for candidate in backups}
    broken = []
    for candidate in backups:
        for needed in candidate.needs:
            waiting.setdefault(needed, []).append(candidate.label)
            if needed not in known:
                broken.append(candidate.label)
    usable = known
    while broken:
        label = broken.pop()
        if label in usable:
            usable.remove(label)
            broken += waiting.get(label, ())
    return usable


def cutoff_of(policy: RetentionPolicy, moment: datetime) -> datetime | None:
    """Where the time begins that ``keep_for`` asks for."""
    if policy.keep_for is None:
        return None
    return moment - min(policy.keep_for, moment - datetime.min.replace(tzinfo=timezone.utc))


def superseded(group: Group, bases: Iterable[Group]) -> bool:
    """Whether other clusters have enough proven base backups, all newer than anything of this one.

    :param bases: the groups of base backups; False for a group that is none of them.
    """
    if not group.physical:
        return False
    newer = sum(candidate.finished_at > group.ended_at for other in bases for candidate in other.proven)
    return newer >= max(1, group.policy.min_proven)


def successor(group: Group, bases: Iterable[Group]) -> Candidate | None:
    """The newest proven backup that stands in for what goes: of the group, or of a later cluster."""
    proven = [*group.proven[-1:], *(one for other in bases if group.physical for one in other.proven[-1:])]
    return max(proven, key=age_of, default=None)
