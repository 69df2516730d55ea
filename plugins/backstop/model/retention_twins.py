"""Two backups of one content, one of them encrypted anew: the old one goes once the new one is proven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstop.model.retention_groups import Want, usable_labels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from backstop.model.backup import BackupLabel
    from backstop.model.retention_groups import Group
    from backstop.model.retention_policy import Candidate


@dataclass(frozen=True, slots=True)
class Twins:
    """What follows from them.

    :param gone: old ones that may go whatever the rules say, and why.
    :param pairs: old and new that both stay, because the old one cannot go yet.
    """

    gone: Mapping[BackupLabel, str]
    pairs: Sequence[tuple[Candidate, Candidate]]

    def wanted(self) -> Iterator[Want]:
        """Both of a pair stay, so that each has all it needs, of WAL too."""
        for old, new in self.pairs:
            yield Want(old, f"{new.label}, which is to take its place, cannot yet")
            yield Want(new, f"it is to take the place of {old.label}")

    def once(self, group: Group) -> Group:
        """The group as rules that count see it: a pair is one backup, or half as many days would stay."""
        doubles = {(old if new.proven else new).label for old, new in self.pairs}
        return replace(group, usable=[one for one in group.usable if one.label not in doubles])


def find_twins(candidates: Sequence[Candidate], ahead: Collection[BackupLabel]) -> Twins:
    """An old one may go when all of the new one is proven, nobody wants to keep the old one, and everything
    that is restored from it may go for the same reason.

    :param ahead: backups dated ahead, of which nothing is decided.
    """
    by_label = {candidate.label: candidate for candidate in candidates}
    pairs: dict[BackupLabel, Candidate] = {}
    for new in candidates:
        if new.replaces in by_label and not {new.label, new.replaces} & set(ahead):
            pairs.setdefault(new.replaces, new)
    usable = usable_labels(candidates)
    needed_by: dict[BackupLabel, set[BackupLabel]] = {}
    for candidate in candidates:
        for needed in candidate.needs:
            needed_by.setdefault(needed, set()).add(candidate.label)
    gone = {
        old
        for old, new in pairs.items()
        if new.proven and new.proven_whole and new.label in usable and not by_label[old].kept_because
    }
    while still := {old for old in gone if needed_by.get(old, set()) - gone} | (
        gone & {new.label for old, new in pairs.items() if old not in gone}
    ):
        gone -= still
    return Twins(
        {old: f"{pairs[old].label} holds the same, encrypted anew, and is proven" for old in gone},
        [(by_label[old], new) for old, new in pairs.items() if old not in gone],
    )
