"""The one transaction in which rescued tables are made and filled."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from backstop.errors import RestoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.postgres.connection import ClusterConnection

# As pg_restore has them: the names in a dump are qualified, and its functions may come before what they use.
_LOADING = (
    ("search_path", ""),
    ("check_function_bodies", "off"),
    ("xmloption", "content"),
    ("row_security", "off"),
    # What else the live database may be set to, and would read rows or definitions otherwise by.
    ("IntervalStyle", "postgres"),
    ("array_nulls", "on"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
    ("default_tablespace", ""),
    ("default_table_access_method", "heap"),
    ("maintenance_work_mem", "256MB"),
)


@contextmanager
def loading_session(database: ClusterConnection, owner: str) -> Iterator[psycopg.Connection[Any]]:
    """One transaction as the owner; on any failure there has never been anything."""
    with (
        closing(database.connect(autocommit=False, application_name="backstop:rescue")) as session,
        refusals(database.dbname),
    ):
        # The database may be set read-only, for everybody but us. SET takes no snapshot; a SELECT would,
        # and after that it is too late.
        session.execute("SET TRANSACTION READ WRITE")
        for name, value in (("role", owner), *_LOADING):
            session.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])
        yield session
        session.commit()


def execute_all(session: psycopg.Connection[Any], texts: Sequence[str]) -> None:
    for text in texts:
        session.execute(text.encode("utf-8", errors="surrogateescape"))


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """Turn the server's refusals into errors that name the database."""
    try:
        yield
    except psycopg.errors.DuplicateObject as error:
        raise RestoreError(
            f"{where}: {error.diag.message_primary}", hint="it was made meanwhile; name another one"
        ) from None
    except psycopg.Error as error:
        # DETAIL and CONTEXT may quote rows.
        raise RestoreError(
            f"the rescue into {where} failed: {error.diag.message_primary or type(error).__name__}",
            hint="nothing was left there; what is missing may be had with a new database (--into-database)",
        ) from None
