"""Whether whoever restores could open what is stored when that was last tried, and when that was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part
from backstop.errors import BackstopError
from backstop.model.key_canary import canary_subject, judge_canaries
from backstop.repository.key_canaries import KeyCanaries

if TYPE_CHECKING:
    from backstop.commands.watch.sight import Sight
    from backstop.repository.inventory import Inventory


def look_at_canaries(sight: Sight, inventory: Inventory | None) -> Part:
    """One finding for each repository of the target that does not open, or was not tried for days."""
    if inventory is None:
        return Part()
    names = {one.name for one in sight.target.repositories}
    try:
        newest = KeyCanaries(inventory.connection).newest(sight.target.name)
    except BackstopError as error:
        return Part(
            unseen=(f"whether keys opened what is stored: {error.message}",),
            unjudged=frozenset(("key", canary_subject(name)) for name in names),
        )
    since = {
        name: min(known.manifest.finished_at for known in shelf.backups.values())
        for name, shelf in sight.shelves.items()
        if shelf.backups
    }
    known = (one for one in newest if one.repository in names)
    return Part(findings=judge_canaries(sight.target.name, known, since=since, now=sight.now))
