"""Is the restored copy what the backup says it is? Content, sequences, definitions, the database itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.commands.database.objects import FINGERPRINT
from backstop.model.fingerprint import Fingerprint, SchemaEntry, differences
from backstop.postgres.catalog import (
    list_materialized_views,
    list_tables,
    read_database_properties,
    read_sequences,
    with_sizes,
)
from backstop.postgres.fingerprint import take_content
from backstop.postgres.toc import schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.tools import PostgresTools


def expected_fingerprint(dump_directory: Path) -> Fingerprint:
    """The fingerprint that came with the dump."""
    return Fingerprint.from_dict(json.loads((dump_directory / FINGERPRINT).read_text(encoding="utf-8")))


def compare_restored(
    expected: Fingerprint,
    restored: ClusterConnection,
    *,
    tools: PostgresTools,
    jobs: int,
    reference: Callable[[], AbstractContextManager[ClusterConnection]],
    folder: Path | None = None,
    refused_settings: Collection[tuple[str | None, str]] = (),
) -> list[str]:
    """One sentence for every difference; empty when the copy is equal.

    :param reference: makes an empty database, restores the dump's definitions alone into it, and removes it
        again; asked only when a definition's text differs.
    :param folder: for temporary files, see :func:`~backstop.postgres.toc.schema_of`.
    :param refused_settings: role (None: of the database) and name of settings that may be missing from the
        copy, because whoever restored it may not make them; with another value they are still a difference.
    """
    found = read_fingerprint(
        restored, tools=tools, jobs=jobs, counts_only=expected.counts_only, folder=folder
    )
    expected = _without_missing(expected, found, refused_settings)
    sentences = differences(expected, found)
    if sentences and _same_identities(expected, found) and expected.schema != found.schema:
        # PostgreSQL rewrites some expressions when it reads them back: ``(ARRAY['a'::varchar])::text[]``
        # returns as ``ARRAY[('a'::varchar)::text]``. The arbiter of whether two texts mean the same is
        # PostgreSQL itself: what it makes of the dump's own text in an empty database.
        with reference() as empty:
            found = _accept_rewritten(expected, found, schema_of(empty, tools, folder=folder).schema)
        sentences = differences(expected, found)
    return sentences


def read_fingerprint(
    database: ClusterConnection,
    *,
    tools: PostgresTools,
    jobs: int,
    counts_only: bool,
    folder: Path | None = None,
) -> Fingerprint:
    """The account of a database that nobody else is changing."""
    with database.connect(application_name="backstop:compare") as session:
        tables, large_objects = take_content(
            database,
            tables=with_sizes(session, list_tables(session)),
            jobs=jobs,
            mode="counts" if counts_only else "full",
        )
        return Fingerprint(
            tables=tuple(tables),
            large_objects=large_objects,
            sequences=read_sequences(session),
            schema=schema_of(database, tools, folder=folder).schema,
            database=read_database_properties(session),
            materialized_views=list_materialized_views(session),
        )


def _without_missing(
    expected: Fingerprint, found: Fingerprint, refused: Collection[tuple[str | None, str]]
) -> Fingerprint:
    made = {
        (entry["role"], line.partition("=")[0])
        for entry in found.database["settings"]
        for line in entry["settings"]
    }
    missing = set(refused) - made
    if not missing:
        return expected
    kept = [
        {
            **entry,
            "settings": [
                line for line in entry["settings"] if (entry["role"], line.partition("=")[0]) not in missing
            ],
        }
        for entry in expected.database["settings"]
    ]
    settings = [entry for entry in kept if entry["settings"]]
    return replace(expected, database={**expected.database, "settings": settings})


def _same_identities(expected: Fingerprint, found: Fingerprint) -> bool:
    return {entry.identity for entry in expected.schema} == {entry.identity for entry in found.schema}


def _accept_rewritten(
    expected: Fingerprint, found: Fingerprint, reference: tuple[SchemaEntry, ...]
) -> Fingerprint:
    """``found``, with the expected text wherever it equals what PostgreSQL makes of the expected text."""
    wanted = {entry.identity: entry for entry in expected.schema}
    rewritten = {entry.identity: entry.sha256 for entry in reference}
    return replace(
        found,
        schema=tuple(
            wanted[entry.identity]
            if entry.identity in wanted and rewritten.get(entry.identity) == entry.sha256
            else entry
            for entry in found.schema
        ),
    )
