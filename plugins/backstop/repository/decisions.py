"""Where the inventory keeps who asked and who approved. A record: no restore ever depends on it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from backstop.model.decision import Answer, Decision
from backstop.postgres.connection import source_errors
from backstop.repository.inventory_moment import inventory_moment
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from backstop.postgres.connection import ClusterConnection

_COLUMNS = tuple(one.name for one in fields(Decision))
_LIMITS = {"question": 500, "because": 2000}


class Decisions:
    """The table ``backup_decision`` of the inventory.

    :param connection: the inventory's database, whose tables are there (``Inventory.migrate``).
    """

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection

    def record(self, decision: Decision) -> None:
        """Enter it once; telling it again changes nothing.

        :raises SourceUnavailableError: the inventory does not answer, or has no such table yet.
        """
        row = {**asdict(decision), "answer": decision.answer.value}
        row.update({name: row[name][:most] for name, most in _LIMITS.items()})
        with self._session() as session:
            session.execute(load_sql("inventory/insert_decision").encode(), row)

    def newest(self, target: str | None = None, *, limit: int = 50) -> list[Decision]:
        """Of one target or of all, the newest first.

        :raises SourceUnavailableError: the inventory does not answer.
        :raises ConfigurationError: it has no such table yet.
        """
        with inventory_moment(self._connection, application_name="backstop:decisions") as session:
            rows = session.execute(
                load_sql("inventory/decisions").encode(), {"target": target, "limit": limit}
            ).fetchall()
        return [_decision(row) for row in rows]

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        connection = self._connection
        with (
            source_errors(f"inventory {connection.location}", secret=connection.password),
            connection.connect(application_name="backstop:decisions") as session,
        ):
            yield session


def _decision(row: tuple[Any, ...]) -> Decision:
    # The question's columns are in the order of the class's attributes.
    values = dict(zip(_COLUMNS, row, strict=True))
    return Decision(**{**values, "answer": Answer(values["answer"])})
