"""A backup that holds much less than the one before: somebody should look before the older ones go.

A table truncated by accident gives backups that restore faithfully, and are proven. Each of them would be a
reason to delete the last one that had the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from backstop.model.retention_groups import Want

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from backstop.model.backup import BackupLabel
    from backstop.model.retention_groups import Group
    from backstop.model.retention_policy import Candidate

NOTICED = 20
"""Fewer rows or files come and go in any small database or folder."""
SHARE = 4
"""One part in so many: what is deleted on purpose, month after month, is less of the whole."""


@dataclass(frozen=True, slots=True)
class Drop:
    """:param first: where the drop was noticed; :param before: what it is compared with."""

    first: Candidate
    before: Candidate

    def in_words(self, unit: str) -> str:
        """What was noticed."""
        now, before = self.first.content or 0, self.before.content or 1
        return (
            f"{self.first.label} holds {now:,} {unit}, {100 - now * 100 // before} % less than "
            f"{self.before.label} ({before:,})"
        )


def is_drop(now: int, before: int) -> bool:
    """More than a quarter is lost, and at least twenty; or everything is."""
    lost = before - now
    return (lost >= NOTICED and lost * SHARE > before) or (now == 0 and before > 0)


def find_drop(group: Group, accepted: Collection[BackupLabel]) -> Drop | None:
    """The drop that lasts up to the newest backup and that nobody has looked at.

    What is compared with is the last proven backup that was no drop itself; so a drop lasts until the rows
    are back, or until its backup is accepted. Accepting one accepts everything before it.
    """
    level: Candidate | None = None
    found: Drop | None = None
    for candidate in group.backups:
        if candidate.content is None:
            continue
        if candidate.label in accepted:
            level, found = candidate, None
        elif level is not None and is_drop(candidate.content, level.content or 0):
            found = found or Drop(candidate, level)
        else:
            found = None
            # An unproven one is compared with as long as nothing is proven: better than nothing at all.
            level = candidate if candidate.proven or level is None or not level.proven else level
    return found


def still_compared(
    group: Group, accepted: Collection[BackupLabel], kept: Collection[BackupLabel]
) -> Iterator[Want]:
    """The newest accepted backup, while an older one stays that holds so much more.

    Without it the next backup would be compared with that older one, and the same drop be found again.
    """
    looked_at = [one for one in group.backups if one.label in accepted and one.content is not None]
    if not looked_at:
        return
    newest = looked_at[-1]
    older = takewhile(lambda one: one is not newest, group.backups)
    if any(one.label in kept and is_drop(newest.content or 0, one.content or 0) for one in older):
        yield Want(newest, "somebody has looked at its drop, and newer ones are compared with it")
