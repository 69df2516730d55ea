"""Rows and files: what the restored database expects in a restored tree, looked for on the disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.checklist.integrity import ITEM
from backstop.commands.checklist.line import (
    counted,
    failed,
    in_words,
    not_applicable,
    not_done,
    passed,
    tried,
)
from backstop.commands.trees.expected import missing_on_disk
from backstop.model.figures import duration_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.checklist.restored import RestoredDatabase, RestoredFiles
    from backstop.commands.trees.expected import MissingFiles
    from backstop.model.measured import CheckedItem
    from backstop.postgres.connection import ClusterConnection

_TOO_MANY = 0.5


def compare_rows_and_files(
    database: RestoredDatabase | None,
    served: ClusterConnection | None,
    trees: Sequence[RestoredFiles],
    why: str,
) -> Iterator[CheckedItem]:
    """A line for each tree of which targets.yaml says what rows expect.

    Files that are older than the database, and no older than their objective allows, may lack what rows were
    told later: that is loss, which is measured elsewhere, and here only counted.
    """
    for tree in trees:
        if tree.expected is None:
            continue
        if database is None:
            sentence = "rows were not compared with files: the database was not lost, and is not asked"
            yield not_applicable(ITEM, tree.component, sentence)
        elif tree.failure or served is None:
            because = why if served is None else f"{in_words(tree.component)} are not back: {tree.failure}"
            yield not_done(ITEM, tree.component, f"rows were not compared with files: {because}")
        else:
            yield _compared(database, served.with_database(database.dbname), tree)


def _compared(database: RestoredDatabase, served: ClusterConnection, tree: RestoredFiles) -> CheckedItem:
    def look() -> CheckedItem:
        assert tree.expected is not None  # noqa: S101 the caller has looked
        # Never the live one, which the tree's own settings lead to.
        found = missing_on_disk(replace(tree.expected, database=lambda: served), tree.root)
        if not found.expected:
            sentence = "rows name no file: there was nothing to look for"
            return not_applicable(ITEM, tree.component, sentence)
        if not found.missing:
            sentence = f"all {counted(found.expected, 'file')} that rows name are there"
            return passed(ITEM, tree.component, sentence)
        said = f"{found.missing:,} of {counted(found.expected, 'file')} that rows name are not there"
        lag = _lag(database, tree)
        if _is_loss(found, tree, lag):
            sentence = f"{said}: the files are {duration_in_words(lag)} older than the database"
            return passed(ITEM, tree.component, sentence, found.sentences()[1:])
        return failed(ITEM, tree.component, said, found.sentences()[1:])

    return tried(ITEM, tree.component, look)


def _lag(database: RestoredDatabase, tree: RestoredFiles) -> timedelta:
    if database.recovered_to is None or tree.recovered_to is None:
        return timedelta(0)
    return database.recovered_to - tree.recovered_to


def _is_loss(found: MissingFiles, tree: RestoredFiles, lag: timedelta) -> bool:
    """Whether rows that are newer than the files explain what is missing; never most of them."""
    within = tree.rpo is None or lag <= tree.rpo
    return lag > timedelta(0) and within and found.missing <= found.expected * _TOO_MANY
