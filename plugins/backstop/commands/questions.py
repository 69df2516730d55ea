"""The target's own questions to a restored copy (``verify.queries``), and whether it answers as expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.postgres.connection import ClusterConnection


@dataclass(frozen=True, slots=True)
class Query:
    """A question, and its answer: one value, or a list of rows."""

    sql: str
    expect: Any
    name: str


def ask(database: ClusterConnection, queries: Sequence[Query]) -> list[str]:
    """Ask each in a read-only transaction of its own; one sentence for every wrong answer.

    The ``search_path`` is the database's own, as the application would have it. Answers are data of the
    protected system and are not repeated in the sentence.
    """
    import psycopg

    wrong: list[str] = []
    if not queries:
        return wrong
    with database.connect(application_name="backstop:verify") as connection:
        connection.execute("RESET search_path")
        connection.read_only = True
        for query in queries:
            try:
                with connection.transaction():
                    rows = connection.execute(query.sql.encode()).fetchall()
            except psycopg.Error as error:
                wrong.append(f"query {query.name!r} failed: {error.diag.message_primary or error}")
                continue
            if not as_expected(rows, query.expect):
                wrong.append(f"query {query.name!r} did not give what verify.queries expects")
    return wrong


def as_expected(rows: list[tuple[Any, ...]], expect: Any) -> bool:
    if isinstance(expect, list):
        return [[_plain(value) for value in row] for row in rows] == [
            [_plain(value) for value in row] for row in expect
        ]
    return len(rows) == 1 and len(rows[0]) == 1 and _plain(rows[0][0]) == _plain(expect)


def _plain(value: Any) -> Any:
    """Numbers compare as numbers; what YAML cannot write (dates, UUIDs) compares by its text."""
    from decimal import Decimal

    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, Decimal)):
        return Decimal(str(value))
    return str(value)
