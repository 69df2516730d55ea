"""Questions to a database's catalogue; the SQL is in ``include/sql/catalog``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.model.fingerprint import SequenceValue
from backstop.postgres.names import qualified_name
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

_SEQUENCES_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table that a dump holds.

    :param kind: ``r`` for a table, ``p`` for a partitioned one (no rows of its own).
    :param condition: for an extension's configuration table, which rows are the user's (SQL, may be empty).
    :param columns: stored columns by name with their types' OIDs, sorted by name.
    :param counted_as: qualified name of the table whose rows these count as: a partitioned one whose rows may
        change partitions in a restore. None nearly always.
    :param heap_bytes: of the table without TOAST; 0 until :func:`with_sizes`.
    """

    oid: int
    schema: str
    table: str
    kind: str
    unlogged: bool
    heap: bool
    condition: str | None
    columns: tuple[tuple[str, int], ...] = field(repr=False)
    counted_as: str | None = None
    heap_bytes: int = 0
    size_bytes: int = 0

    @property
    def name(self) -> str:
        """Quoted and qualified: ``public."Table A"``."""
        return qualified_name(self.schema, self.table)


def list_tables(session: psycopg.Connection[Any]) -> tuple[TableRef, ...]:
    """The tables that pg_dump would lock and copy, by OID. Waits for nobody's lock."""
    rows = session.execute(load_sql("catalog/tables"))
    return tuple(
        TableRef(
            oid=oid,
            schema=schema,
            table=table,
            kind=kind,
            unlogged=unlogged,
            heap=heap,
            condition=condition,
            columns=tuple(zip(column_names, column_types, strict=True)),
            counted_as=qualified_name(*counted_as) if counted_as[1] else None,
        )
        for (
            oid,
            schema,
            table,
            kind,
            unlogged,
            heap,
            condition,
            column_names,
            column_types,
            *counted_as,
        ) in rows
    )


def with_sizes(session: psycopg.Connection[Any], tables: Sequence[TableRef]) -> tuple[TableRef, ...]:
    """The same tables with their present sizes; needs (and takes) an ACCESS SHARE lock on each."""
    oids = [table.oid for table in tables]
    sizes = {
        oid: (heap_bytes, size_bytes)
        for oid, heap_bytes, size_bytes in session.execute(load_sql("catalog/table_sizes"), {"oids": oids})
    }
    return tuple(
        replace(table, heap_bytes=sizes[table.oid][0], size_bytes=sizes[table.oid][1]) for table in tables
    )


def list_materialized_views(session: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Quoted, qualified names, sorted."""
    rows = session.execute(load_sql("catalog/materialized_views"))
    return tuple(sorted(qualified_name(schema, name) for schema, name in rows))


def read_sequences(session: psycopg.Connection[Any]) -> tuple[SequenceValue, ...]:
    """Every sequence that a dump sets, with its present value, sorted by name.

    For restored copies; a source's values come from its dump, because sequences ignore snapshots.
    """
    from psycopg import sql

    names = session.execute(load_sql("catalog/sequences")).fetchall()
    values = []
    for start in range(0, len(names), _SEQUENCES_PER_QUERY):
        # One question for many: 2,000 tables with an identity column each are nothing unusual.
        questions = [
            sql.SQL("SELECT {name}, last_value, is_called FROM {sequence}").format(
                name=sql.Literal(qualified_name(*name)), sequence=sql.Identifier(*name)
            )
            for name in names[start : start + _SEQUENCES_PER_QUERY]
        ]
        values += [
            SequenceValue(name, last_value, is_called)
            for name, last_value, is_called in session.execute(sql.SQL(" UNION ALL ").join(questions))
        ]
    return tuple(sorted(values, key=lambda value: value.name))


def read_database_properties(session: psycopg.Connection[Any]) -> Mapping[str, Any]:
    """What belongs to the current database itself: encoding, locale, owner, ACL, comment, settings.

    ``acl`` is a sorted list of ``grantee=PRIVILEGE``; ``settings`` a list of ``{"role": name or null,
    "settings": ["name=value", …]}``. Settings may hold secrets of the application.
    """
    row = session.execute(load_sql("catalog/database_properties")).fetchone()
    if row is None:  # pragma: no cover - one is always connected to a database
        raise AssertionError("current_database() is not in pg_database")
    # As text, which psycopg decodes by the session's encoding; it takes all JSON for UTF-8.
    properties: dict[str, Any] = json.loads(row[0])
    return properties
