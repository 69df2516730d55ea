"""Restore the test database, and whatever else was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.checklist.line import failed, in_words, not_applicable, passed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.checklist.restored import RestoredDatabase, RestoredFiles
    from backstop.model.measured import CheckedItem

ITEM = "restore"


def report_restores(
    database: RestoredDatabase | None, trees: Sequence[RestoredFiles]
) -> Iterator[CheckedItem]:
    """One line a component."""
    for one in ([database] if database else []) + list(trees):
        words = in_words(one.component)
        if one.failure:
            yield failed(ITEM, one.component, f"{words} could not be restored: {one.failure}")
        else:
            yield passed(ITEM, one.component, f"{words} {_are(one.component)} back, from {one.label}")
    if database is None and not trees:
        yield not_applicable(ITEM, "", "nothing of this target is lost in this scenario")


def _are(component: str) -> str:
    return "are" if component.startswith("tree:") else "is"
