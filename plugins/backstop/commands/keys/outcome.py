"""Keeps what a check of the keys showed, for the watch to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.model.key_canary import KeyCanary
from backstop.repository.key_canaries import KeyCanaries

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.commands.keys.canary import Opened
    from backstop.repository.inventory import Inventory


def keep_outcome(
    inventory: Inventory | None, target: str, repository: str, opened: Iterable[Opened], *, now: datetime
) -> list[str]:
    """Enter it into the inventory. Nothing was tried: nothing is entered.

    :param opened: everything that was tried in that repository.
    :returns: sentences: the inventory did not take it, and the watch will go by the check before.
    """
    tried = list(opened)
    if inventory is None or not tried:
        return []
    closed = [one for one in tried if one.why]
    outcome = KeyCanary(
        target=target,
        repository=repository,
        checked_at=now,
        opened=len(tried) - len(closed),
        closed=len(closed),
        said=f"the {closed[0].what}: {closed[0].why}" if closed else "",
        step=closed[0].step if closed else "",
    )
    try:
        inventory.migrate()
        KeyCanaries(inventory.connection).record(outcome)
    except BackstopError as error:
        return [f"the inventory does not know what opened in {repository}: {error.message}"]
    return []
