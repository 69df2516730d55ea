"""Where the inventory keeps whether keys opened what is stored. A record: no restore depends on it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backstop.model.key_canary import KeyCanary
from backstop.postgres.connection import source_errors
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from backstop.postgres.connection import ClusterConnection

_MOST = 2000


class KeyCanaries:
    """The table ``key_canary`` of the inventory.

    :param connection: the inventory's database, whose tables are there (``Inventory.migrate``).
    """

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection

    def record(self, outcome: KeyCanary) -> None:
        """Enter it once.

        :raises SourceUnavailableError: the inventory does not answer, or has no such table yet.
        """
        row = asdict(outcome)
        row.update(said=outcome.said[:_MOST], step=outcome.step[:_MOST])
        with self._session() as session:
            session.execute(load_sql("inventory/insert_key_canary").encode(), row)

    def newest(self, target: str) -> list[KeyCanary]:
        """Of each repository that was ever checked, the newest one.

        :raises SourceUnavailableError: the inventory does not answer, or has no such table yet.
        """
        with self._session() as session:
            rows = session.execute(load_sql("inventory/key_canaries").encode(), {"target": target}).fetchall()
        # The question's columns are in the order of the class's attributes.
        return [KeyCanary(*row) for row in rows]

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        connection = self._connection
        with (
            source_errors(f"inventory {connection.location}", secret=connection.password),
            connection.connect(application_name="backstop:keys") as session,
        ):
            yield session
