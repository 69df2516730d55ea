"""The inventory as of one moment, for whoever only looks: pages, metrics, ``status``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError
from backstop.postgres.connection import source_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from backstop.postgres.connection import ClusterConnection


@contextmanager
def inventory_moment(
    connection: ClusterConnection, **options: Any
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A session that changes nothing, and whose every question is answered as of the same moment.

    :param options: of :meth:`ClusterConnection.connect`.
    :raises SourceError: the inventory does not answer, or does not let us read.
    :raises ConfigurationError: it has no tables, or those of an older version.
    """
    import psycopg

    location = f"inventory {connection.location}"
    with source_errors(location, secret=connection.password), connection.connect(**options) as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield session
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            raise ConfigurationError(
                f"the {location} lacks tables of this version",
                hint="run `python -m backstop migrate-inventory`",
            ) from None
