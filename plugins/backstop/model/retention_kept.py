"""What stays, and every reason for it, gathered rule by rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.retention_rules import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backstop.model.backup import BackupLabel
    from backstop.model.retention_groups import Group, Want
    from backstop.model.retention_policy import Candidate


@dataclass(slots=True)
class Kept:
    """Labels that stay.

    :param reasons: by label, in the order of the rules.
    :param continuous: those of them that are rolled forward up to now.
    """

    reasons: dict[BackupLabel, list[str]] = field(default_factory=dict)
    continuous: set[BackupLabel] = field(default_factory=set)

    def add(self, wants: Iterable[Want]) -> bool:
        """Whether any of them was not kept before."""
        count = len(self.reasons)
        for candidate, reason, continuous in wants:
            self.reasons.setdefault(candidate.label, []).append(reason)
            if continuous:
                self.continuous.add(candidate.label)
        return len(self.reasons) > count

    def closure(self, by_label: Mapping[BackupLabel, Candidate]) -> set[BackupLabel]:
        """What stays, what it is restored from, and what that is restored from in turn."""
        waiting = list(self.reasons)
        staying = set(waiting)
        while waiting:
            for needed in by_label[waiting.pop()].needs:
                if needed in by_label and needed not in staying:
                    staying.add(needed)
                    waiting.append(needed)
        return staying

    def add_needed(self, by_label: Mapping[BackupLabel, Candidate]) -> None:
        """Keep all of :meth:`closure`.

        :param by_label: oldest first.
        """
        staying = self.closure(by_label)
        readers: dict[BackupLabel, tuple[BackupLabel, int]] = {}
        for candidate in reversed(tuple(by_label.values())):
            if candidate.label in staying:
                for needed in candidate.needs:
                    newest, count = readers.get(needed, (candidate.label, 0))
                    readers[needed] = newest, count + 1
        for label, (newest, count) in readers.items():
            if label in by_label:
                more = f" and {count - 1} more are" if count > 1 else " is"
                self.reasons.setdefault(label, []).append(f"{newest}{more} restored from it")


def why_they_go(group: Group, *, successor: Candidate | None) -> tuple[str, ...]:
    """The reasons that all backups of a group have that no rule keeps.

    :param successor: the newest proven backup, which is newer than all of them.
    """
    policy = group.policy
    reasons = []
    if policy.keep_for is not None:
        reasons.append(f"older than {in_words(policy.keep_for)} (keep_for)")
    if policy.keep_last:
        reasons.append(f"not one of the newest {policy.keep_last} (keep_last)")
    periods = [
        f"{rule}: {count}"
        for rule in ("daily", "weekly", "monthly", "yearly")
        if (count := getattr(policy, rule))
    ]
    if periods:
        reasons.append(f"not the one that is kept of its period ({', '.join(periods)})")
    if successor is not None:
        reasons.append(f"{successor.label} is newer and proven")
    return tuple(reasons)
