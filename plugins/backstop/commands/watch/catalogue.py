"""Compares what is published in a target's repositories with what should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.kinds import judge_kind, merged
from backstop.commands.watch.manifests import judge_manifests
from backstop.commands.watch.missing_copies import judge_steps
from backstop.commands.watch.part import EVERY, Part, together
from backstop.commands.watch.proofs import judge_proofs
from backstop.commands.watch.restores import past_restores
from backstop.commands.watch.shelf import Shelf, look_at_shelf
from backstop.errors import BackstopError
from backstop.model.finding import Finding, Level
from backstop.model.observation import RepositorySeen
from backstop.repository.observations import Observations
from backstop.repository.recollection import Recollection, enter, recall

if TYPE_CHECKING:
    from backstop.commands.watch.sight import ObservedTarget, Sight
    from backstop.model.observation import Observation
    from backstop.repository.inventory import Inventory


def recollect(
    target: ObservedTarget, inventory: Inventory | None
) -> tuple[Recollection, Observation | None, Part]:
    """What the inventory remembers: backups, and what the watch before saw.

    Without it, or while it is away, everything is read.
    """
    if inventory is None:
        return Recollection(), None, Part()
    try:
        return recall(inventory, target.name), Observations(inventory.connection).of(target.name), Part()
    except BackstopError as error:
        part = Part(
            findings=(
                Finding(
                    target.name,
                    "watch",
                    "inventory",
                    Level.WARNING,
                    error.message,
                    error.hint or "repair the inventory's database; backups go on without it",
                ),
            ),
            unseen=(f"what the inventory remembers: {error.message}",),
            unjudged=frozenset({("drill", EVERY)}),
        )
        return Recollection(), None, part


def look_at_shelves(
    target: ObservedTarget, recollection: Recollection, inventory: Inventory | None, down: dict[str, str]
) -> tuple[dict[str, Shelf], Part]:
    """Every repository that answers; the inventory learns what is new.

    :param down: repositories that do not answer, and why; one that fails now joins them.
    """
    shelves: dict[str, Shelf] = {}
    unseen: list[str] = []

    def again() -> Recollection:
        return recall(inventory, target.name) if inventory else recollection

    def keep(shelf: Shelf) -> None:
        read, gone = shelf.read[shelf.kept :], shelf.newly_gone
        if inventory is None or not (read or gone):
            return
        try:
            enter(inventory, shelf.repository, read=read, expiring=shelf.expiring, gone=gone)
        except BackstopError as error:
            unseen.append(f"the inventory could not be told what is new in {shelf.name}: {error.message}")
        else:
            shelf.kept = len(shelf.read)

    for repository in target.repositories:
        if repository.name in down:
            continue
        try:
            shelf = look_at_shelf(repository, recollection, again=again, keep=keep)
            shelves[repository.name] = shelf
        except BackstopError as error:
            down[repository.name] = str(error)
            if error.retryable:
                target.outages[repository.location] = str(error)
            continue
        keep(shelf)
    return shelves, Part(unseen=tuple(unseen))


def look_at_catalogue(sight: Sight, recollection: Recollection) -> Part:
    """Components and the repositories' counts; everything that manifests and proofs tell is wrong."""
    settings = sight.target.settings
    backups = merged(sight, recollection)
    past = past_restores(sight, recollection)
    parts = [
        judge_kind(sight, kind, backups.get(kind.kind, []), past.get(kind.kind, []))
        for kind in settings.kinds
    ]
    parts += [judge_proofs(sight), judge_manifests(sight), judge_steps(sight)]
    parts += [Part(seen=tuple(_counted(shelf) for shelf in sight.shelves.values()))]
    unseen = tuple(f"the backups in {name}: {why}" for name, why in sight.down.items())
    return together([*parts, Part(unseen=unseen)])


def _counted(shelf: Shelf) -> RepositorySeen:
    return RepositorySeen(
        name=shelf.name,
        location=shelf.repository.location,
        reachable=True,
        backups=len(shelf.backups),
    )
