"""What holds expiry up although the rules would let a backup go, in a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.retention_drop import find_drop
from backstop.model.retention_groups import Want, cutoff_of
from backstop.model.retention_rules import replaced, unfollowed, young_timeline

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.model.retention_groups import Group


@dataclass(frozen=True, slots=True)
class Holdup:
    """Backups of a group that must not go yet.

    :param wants: one a backup that stays for it.
    :param sentence: what holds it up, and what to do.
    :param told_early: even while no rule would let any of them go.
    """

    wants: tuple[Want, ...]
    sentence: str
    told_early: bool = False


def nothing_proven(group: Group) -> Iterator[Holdup]:
    """What is newer than the newest proven one stays; all of them where none is proven."""
    wants = tuple(Want(candidate, "no newer one is proven") for candidate in unfollowed(group))
    if group.proven:
        last = group.proven[-1].label
        what = f"what is newer than {last} stays, because nothing newer is proven"
    else:
        what = "nothing expires, because none of them is proven"
    yield Holdup(wants, f"{group.name}: {what}; verify the newest")


def dropped(group: Group, accepted: Collection[BackupLabel]) -> Iterator[Holdup]:
    """All of a group stays while it holds so much less than before that somebody must look."""
    drop = find_drop(group, accepted)
    if drop is not None:
        reason = f"{drop.first.label} holds so much less than before that somebody must look first"
        sentence = (
            f"{group.name}: nothing expires, because {drop.in_words(group.unit)}; see whether that is meant, "
            f"and then accept {drop.first.label}"
        )
        yield Holdup(tuple(Want(one, reason) for one in group.backups), sentence, told_early=True)


def dropped_rows(group: Group, dumps: Iterable[Group], accepted: Collection[BackupLabel]) -> Iterator[Holdup]:
    """Base backups and their WAL stay while dumps hold so much less: they lead back to before the loss."""
    for one in dumps:
        drop = find_drop(one, accepted)
        if drop is not None:
            reason = f"{drop.first.label} holds so much less than before that somebody must look first"
            wants = tuple(Want(candidate, reason) for candidate in group.backups)
            yield Holdup(wants, f"{group.name}: nothing expires, because {drop.in_words(one.unit)}")


def new_timeline(group: Group, moment: datetime, *, bases: Collection[Group]) -> Iterator[Holdup]:
    """Base backups of older timelines stay until the newest one can do without them."""
    cutoff = cutoff_of(group.policy, moment)
    timeline = young_timeline(group, cutoff)
    if timeline is None or replaced(group, cutoff, bases=bases):
        return
    lacks = "has no proven base backup yet"
    if cutoff is not None:
        lacks = "has no proven base backup yet that is older than keep_for"
    older = [one for one in group.backups if one.timeline is None or one.timeline < timeline]
    wants = tuple(Want(one, f"it may lead onto timeline {timeline}, which {lacks}") for one in older)
    sentence = f"{group.name}: those of older timelines stay, because timeline {timeline} {lacks}"
    yield Holdup(wants, sentence)
