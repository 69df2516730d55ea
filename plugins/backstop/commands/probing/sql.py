"""A question to the database and its answer, which is data of the protected system and is not repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.questions import as_expected
from backstop.model.measured import Outcome
from backstop.postgres.connection import source_error

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets.probes import SqlProbe

# Messages of data exceptions, broken constraints and PL/pgSQL's RAISE have values of rows in them.
_QUOTE_ROWS = ("22", "23", "P0")


def ask_database(
    probe: SqlProbe, database: Callable[[], ClusterConnection] | None
) -> tuple[Outcome, str, tuple[str, ...]]:
    """In a read-only transaction that the probe's time limit ends; the ``search_path`` is the database's own.

    :raises BackstopError: nobody could connect.
    """
    import psycopg

    if database is None:
        return Outcome.NOT_DONE, f"probe {probe.name!r} was not asked: there is no database to ask", ()
    connection = database()
    with connection.connect(application_name="backstop:probe", autocommit=False) as session:
        try:
            session.read_only = True
            # 0 would be no limit at all.
            limit = max(1, round(probe.timeout.total_seconds() * 1000))
            session.execute("SELECT set_config('statement_timeout', %s, true)", (str(limit),))
            session.execute("RESET search_path")
            rows = session.execute(probe.sql.encode()).fetchall()
        except psycopg.Error as error:
            said = _said(error, connection)
            return Outcome.FAILED, f"probe {probe.name!r} failed: {said}", ()
        finally:
            session.rollback()
    if as_expected(rows, probe.expect):
        return Outcome.PASSED, f"probe {probe.name!r}: the database gave what is expected", ()
    return Outcome.FAILED, f"probe {probe.name!r}: the database did not give what is expected", ()


def _said(error: psycopg.Error, connection: ClusterConnection) -> str:
    if (error.sqlstate or "").startswith(_QUOTE_ROWS):
        return f"{type(error).__name__} (SQLSTATE {error.sqlstate})"
    return source_error(error, connection.location, secret=connection.password).message
