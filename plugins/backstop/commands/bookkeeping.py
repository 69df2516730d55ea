"""Telling the inventory what happened. It may be down: then it learns later, and nothing else waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory


def enter_backup(
    inventory: Inventory | None, repositories: Iterable[Repository], label: BackupLabel
) -> list[str]:
    """Enter one backup, as each of these repositories has it, with its proofs.

    :returns: one sentence for everything that could not be entered now; it is no error, since the next
        ``rebuild-inventory`` or backup check catches up.
    """
    if inventory is None:
        return []
    delayed = []
    for repository in repositories:
        try:
            published = repository.catalog.backup(label)
            inventory.record(repository, published, repository.catalog.verifications(published).counting)
        except BackstopError as error:
            delayed.append(
                f"the inventory does not know yet of {label} in {repository.name}: {error.message}"
            )
    return delayed
