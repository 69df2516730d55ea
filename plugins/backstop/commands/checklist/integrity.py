"""Verify data integrity: hashes of files, pages, catalogue and indexes of the cluster, the ledger checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.base.page_check import check_relations
from backstop.commands.checklist.line import (
    counted,
    failed,
    in_words,
    not_applicable,
    not_done,
    passed,
    tried,
)
from backstop.commands.questions import ask
from backstop.model.measured import CheckedItem, Outcome
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.checklist.restored import RestoredDatabase, RestoredFiles
    from backstop.postgres.connection import ClusterConnection

ITEM = "integrity"
_METADATA = ("mode ", "owner ", "extended attribute ")


@dataclass(frozen=True, slots=True)
class ComparedFiles:
    """:param line: what is said of their content.

    :param metadata: sentences about owners, modes and the like; None: they could not be compared.
    """

    line: CheckedItem
    metadata: Sequence[str] | None = None


def check_files(tree: RestoredFiles) -> ComparedFiles:
    """Read everything again, and hold it against the list of the backup."""
    if tree.failure:
        return ComparedFiles(not_done(ITEM, tree.component, _not_back(tree)))
    found: list[str] = []

    def look() -> CheckedItem:
        found.extend(tree.compare())
        content = [one for one in found if not is_metadata(one)]
        what = counted(tree.files, "file") if tree.files is not None else in_words(tree.component)
        if content:
            sentence = f"{in_words(tree.component)} differ from the list of {tree.label}"
            return failed(ITEM, tree.component, sentence, content)
        if tree.unread:
            sentence = (
                f"{tree.unread:,} of {what} could not be read again by this user, and were not compared"
            )
            return not_done(ITEM, tree.component, sentence)
        return passed(ITEM, tree.component, f"{what} have the content that the list of {tree.label} says")

    line = tried(ITEM, tree.component, look)
    looked = line.outcome in (Outcome.PASSED, Outcome.NOT_DONE) or bool(found)
    return ComparedFiles(line, [one for one in found if is_metadata(one)] if looked else None)


def is_metadata(sentence: str) -> bool:
    """Of a difference of a tree: ``srv/a: mode 0644 instead of 0600``. A path may contain anything."""
    return sentence.rpartition(": ")[2].startswith(_METADATA)


def check_pages(database: RestoredDatabase) -> CheckedItem:
    """Every page of the stopped cluster against its checksum."""

    def look() -> CheckedItem:
        pages = database.pages() if database.pages is not None else None
        if pages is None:
            return not_applicable(ITEM, database.component, "the cluster has no checksums of its pages")
        return passed(ITEM, database.component, f"{counted(pages, 'page')} have the checksum they should")

    return tried(ITEM, database.component, look)


def check_served(
    database: RestoredDatabase | None, served: ClusterConnection | None, why: str
) -> Iterator[CheckedItem]:
    """:param why: it is not served."""
    if database is None:
        return
    if served is None:
        yield not_done(ITEM, database.component, why)
        return
    if database.compare is not None:
        yield tried(ITEM, database.component, lambda: _fingerprint(database, served))
    if database.component == "base":
        yield tried(ITEM, database.component, lambda: _catalogue(database, served))
        yield tried(ITEM, database.component, lambda: _indexes(database, served))
    if database.queries:
        yield tried(ITEM, database.component, lambda: _ledger(database, served))


def _fingerprint(database: RestoredDatabase, served: ClusterConnection) -> CheckedItem:
    assert database.compare is not None  # noqa: S101 the caller has looked
    wrong = list(database.compare(served.with_database(database.dbname)))
    if wrong:
        sentence = f"the database differs from the fingerprint of {database.label}"
        return failed(ITEM, database.component, sentence, wrong)
    sentence = f"tables, sequences and definitions equal the fingerprint of {database.label}"
    return passed(ITEM, database.component, sentence)


def _catalogue(database: RestoredDatabase, served: ClusterConnection) -> CheckedItem:
    """What the catalogue of each database lists has its file."""
    with served.connect(application_name="backstop:checklist") as session:
        names = [row[0] for row in session.execute(load_sql("recovery/databases")).fetchall()]
    relations, without = 0, []
    for name in names:
        with served.with_database(name).connect(application_name="backstop:checklist") as session:
            for relation, is_there in session.execute(load_sql("recovery/relation_files")).fetchall():
                relations += 1
                if not is_there:
                    without.append(f"{relation} of database {name} has no file")
    if without:
        return failed(ITEM, database.component, "the catalogue lists what is not there", without)
    return passed(
        ITEM,
        database.component,
        f"{counted(relations, 'relation')} of {counted(len(names), 'database')} have their files",
    )


def _indexes(database: RestoredDatabase, served: ClusterConnection) -> CheckedItem:
    checked, damaged = check_relations(served)
    if damaged:
        hint = "REINDEX heals an index; its table is whole"
        return failed(ITEM, database.component, "amcheck found damaged indexes", [*damaged, hint])
    if checked is None:
        return not_applicable(ITEM, database.component, "amcheck is installed in no database")
    return passed(
        ITEM, database.component, f"amcheck found nothing wrong in {counted(checked, 'index', 'indexes')}"
    )


def _ledger(database: RestoredDatabase, served: ClusterConnection) -> CheckedItem:
    wrong = ask(served.with_database(database.dbname), database.queries)
    asked = counted(len(database.queries), "query", "queries")
    if wrong:
        sentence = f"{len(wrong)} of {asked} did not get the answer that targets.yaml expects"
        return failed(ITEM, database.component, sentence, wrong)
    return passed(ITEM, database.component, f"{asked} got the answer that targets.yaml expects")


def _not_back(tree: RestoredFiles) -> str:
    return f"{in_words(tree.component)} are not back: {tree.failure}"
