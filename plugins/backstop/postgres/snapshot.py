"""One moment of a database, held still for pg_dump and the fingerprint, without anybody having to wait.

The order is what makes it safe. Locks first: TRUNCATE and DROP ignore snapshots, so a table must be locked
before the snapshot that is to see its rows. LOCK TABLE takes no snapshot; the first query after it does.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceBusyError
from backstop.postgres.catalog import TableRef, list_materialized_views, list_tables, with_sizes
from backstop.postgres.connection import source_error, source_errors
from backstop.postgres.names import qualified_name
from backstop.postgres.watchdog import Watchdog
from backstop.sql import load_sql

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    import psycopg

    from backstop.postgres.connection import ClusterConnection

LOCK_TIMEOUT_MS = 300
LOCK_ATTEMPTS = 20
_TABLES_PER_LOCK = 100
_LOCK_NOT_AVAILABLE = "55P03"
_DEADLOCK = "40P01"
_GONE = ("42P01", "3F000", "XX000")  # undefined_table, invalid_schema_name; "could not open relation"


@dataclass(frozen=True, slots=True)
class HeldSnapshot:
    """A snapshot that other sessions may use until it is released.

    :param tables: what pg_dump will copy, in this very snapshot; every one locked ACCESS SHARE.
    :param lsn: up to where WAL was on the server's disk, at about the snapshot.
    :param session: the holder's own session, for small questions in the snapshot; never commit it.
    :param stop: set when the backup has to end; kill everything that uses the snapshot then.
    :param application_name: what all sessions of the attempt must call themselves to be watched over.
    """

    snapshot_id: str
    tables: tuple[TableRef, ...]
    materialized_views: tuple[str, ...]
    taken_at: datetime
    lsn: str
    connection: ClusterConnection
    application_name: str
    session: psycopg.Connection[Any] = field(repr=False)
    stop: threading.Event = field(repr=False)
    check: Callable[[], None] = field(repr=False)
    """Raises what ended the backup, if anything did."""


def session_name(attempt: str) -> str:
    """The ``application_name`` of every session of an attempt at a backup (63 bytes at most)."""
    return f"backstop:{attempt}"[:63]


@contextmanager
def hold_snapshot(
    connection: ClusterConnection, *, attempt: str, max_age: timedelta
) -> Iterator[HeldSnapshot]:
    """Lock every table, then take, export and hold a snapshot, watched over by a :class:`Watchdog`.

    When the watchdog ends the backup, all sessions of the attempt are ended by the server at once, ``stop``
    is set, and leaving the context raises what happened, whatever the body raised meanwhile.

    :param max_age: how long the snapshot may be held (it keeps vacuum from removing rows).
    :raises SourceBusyError: a session of the application waited for us, or one kept us from locking.
    :raises SourceUnavailableError: the server ended the session; :raises SourceError: ``max_age`` passed.
    """
    import psycopg

    name = session_name(attempt)
    with Watchdog(connection, application_name=name, max_age=max_age) as watchdog:
        try:
            with closing(connection.connect(application_name=name)) as session:
                watchdog.guard(session)
                try:
                    yield _take(connection, session, name, watchdog)
                finally:
                    watchdog.release()
        except GeneratorExit:
            raise
        except BaseException as error:
            if watchdog.failure is not None and isinstance(error, Exception):
                raise watchdog.failure from error
            if isinstance(error, psycopg.Error):
                raise source_error(error, connection.location) from None
            raise
        watchdog.check()


def _take(
    connection: ClusterConnection, session: psycopg.Connection[Any], name: str, watchdog: Watchdog
) -> HeldSnapshot:
    tables = _lock(session, connection, watchdog)
    with source_errors(connection.location):
        tables = with_sizes(session, tables)
        views = list_materialized_views(session)
        row = session.execute(load_sql("snapshot/export")).fetchone()
    if row is None:  # pragma: no cover - a SELECT without FROM returns a row
        raise AssertionError("pg_export_snapshot() returned nothing")
    snapshot_id, taken_at, lsn = row
    return HeldSnapshot(
        snapshot_id=snapshot_id,
        tables=tables,
        materialized_views=views,
        taken_at=taken_at,
        lsn=lsn,
        connection=connection,
        application_name=name,
        session=session,
        stop=watchdog.stop,
        check=watchdog.check,
    )


def _lock(
    session: psycopg.Connection[Any], connection: ClusterConnection, watchdog: Watchdog
) -> tuple[TableRef, ...]:
    """Begin the transaction, lock, and return the tables as its snapshot sees them: all of them locked."""
    import psycopg

    obstacle = ""
    for attempt in range(LOCK_ATTEMPTS):
        if attempt:
            watchdog.stop.wait(min(0.1 * attempt, 2.0))
        watchdog.check()
        wanted = list_tables(session)
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            _lock_tables(session, wanted)
            # The transaction's first query, so this is its snapshot: after the locks, never before.
            found = list_tables(session)
        except psycopg.Error as error:
            if session.closed:
                raise
            session.execute("ROLLBACK")
            if error.sqlstate in _GONE:
                obstacle = "tables were being dropped"
            elif error.sqlstate in (_LOCK_NOT_AVAILABLE, _DEADLOCK):
                obstacle = _who_holds(session, wanted)
            else:
                raise source_error(error, connection.location) from None
            continue
        if _identities(found) == _identities(wanted):
            return found
        session.execute("ROLLBACK")
        obstacle = "tables were being created, renamed or dropped"
    raise SourceBusyError(
        f"the tables of {connection.dbname} could not be locked in {LOCK_ATTEMPTS} attempts: {obstacle}",
        hint="wait until the schema change is finished",
    )


def _lock_tables(session: psycopg.Connection[Any], tables: Sequence[TableRef]) -> None:
    from psycopg import sql

    # While we queue for a lock, others queue behind us: rather give up and come again.
    session.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    for start in range(0, len(tables), _TABLES_PER_LOCK):
        names = sql.SQL(", ").join(
            sql.SQL("ONLY {}").format(sql.Identifier(table.schema, table.table))
            for table in tables[start : start + _TABLES_PER_LOCK]
        )
        session.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


def _identities(tables: Sequence[TableRef]) -> set[tuple[int, str, str, str]]:
    return {(table.oid, table.schema, table.table, table.kind) for table in tables}


def _who_holds(session: psycopg.Connection[Any], tables: Sequence[TableRef]) -> str:
    rows = session.execute(
        load_sql("catalog/exclusive_locks"), {"oids": [table.oid for table in tables]}
    ).fetchall()
    if not rows:
        return "somebody held one of them for a moment"
    return ", ".join(f"process {pid} holds {qualified_name(schema, table)}" for pid, schema, table in rows)
