"""Carries out the five items of the monthly checklist, in their order."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from backstop.commands.checklist.configuration import validate_configuration
from backstop.commands.checklist.functionality import check_functionality
from backstop.commands.checklist.integrity import check_files, check_pages, check_served
from backstop.commands.checklist.line import not_applicable
from backstop.commands.checklist.permissions import check_permissions
from backstop.commands.checklist.restoration import report_restores
from backstop.commands.checklist.rows_and_files import compare_rows_and_files
from backstop.errors import BackstopError
from backstop.model.drill import CHECKLIST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.checklist.restored import ChecklistSettings, RestoredDatabase, RestoredFiles
    from backstop.commands.progress import Progress
    from backstop.model.measured import CheckedItem
    from backstop.postgres.connection import ClusterConnection


def run_checklist(
    database: RestoredDatabase | None,
    trees: Sequence[RestoredFiles],
    *,
    settings: ChecklistSettings,
    progress: Progress,
) -> tuple[CheckedItem, ...]:
    """At least one line for each item, in the order of :data:`~backstop.model.drill.CHECKLIST`.

    Whatever fails, the others are looked at all the same. What cannot be asked because something is not back
    is *not done*, and says why; what a target has nothing of is *not applicable*.

    :param database: None: it was not lost. :param trees: that were lost.
    """
    lines = list(_lines(database, trees, settings=settings, progress=progress))
    order = list(CHECKLIST)
    said = {line.item for line in lines}
    lines += [not_applicable(item, "", "there is nothing of the kind") for item in order if item not in said]
    return tuple(sorted(lines, key=lambda line: order.index(line.item)))


def _lines(
    database: RestoredDatabase | None,
    trees: Sequence[RestoredFiles],
    *,
    settings: ChecklistSettings,
    progress: Progress,
) -> Iterator[CheckedItem]:
    yield from report_restores(database, trees)
    compared = {}
    for tree in trees:
        progress.phase(f"compare {tree.component}")
        compared[tree.component] = differences = check_files(tree)
        yield differences.line
    progress.phase("permissions")
    yield from check_permissions(trees, compared)
    if database is not None and not database.failure and database.pages is not None:
        # While it is stopped.
        progress.phase("pages")
        yield check_pages(database)
    with ExitStack() as stack:
        served, why = _served(database, stack)
        connection = served.with_database(database.dbname) if database and served else None
        progress.phase("validators")
        yield from validate_configuration(connection, trees, settings=settings)
        progress.phase("database")
        yield from check_served(database, served, why)
        yield from compare_rows_and_files(database, served, trees, why)
        progress.phase("probes")
        yield from check_functionality(database, served, trees, why, settings=settings)


def _served(database: RestoredDatabase | None, stack: ExitStack) -> tuple[ClusterConnection | None, str]:
    """The way into the restored server, or why there is none."""
    if database is None:
        return None, ""
    if database.failure:
        return None, f"the database is not back: {database.failure}"
    try:
        return stack.enter_context(database.serve()), ""
    except BackstopError as error:
        return None, f"the restored server does not start: {error.message}"
