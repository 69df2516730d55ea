"""Putting a restored database in the live one's place: two renames in one transaction, and back again.

While it lasts nobody may connect to either. However it ends, the database that then bears the live name
accepts connections: the error paths see to it here, and :func:`reopen` heals what a killed process left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from psycopg import Connection, Error, errors, sql

from backstop.errors import BackstopError, SwapBlockedError
from backstop.postgres.databases import database_oid
from backstop.sql import load_sql

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

_POLL_SECONDS = 0.02
_DEFAULT_TIMEOUT = timedelta(seconds=30)
_REOPEN_SECONDS = 60.0

_REASONS = {
    "missing": "there is no database {object}",
    "taken": "the name {object}, which the old database is to keep, is taken",
    "connected": "this connection is to {object} itself; use another database, such as postgres",
    "closed": "database {object} accepts no connections already (an interrupted swap? reopen it first)",
    "owner": "this role is no member of {detail}, the owner of database {object}",
    "createdb": "role {object} lacks CREATEDB, without which nothing can be renamed",
    "subscription": "subscription {object} writes into the live database; drop it, or disable and move it",
    "slot": "logical slot {object} ({detail}) would stay with the old database; its consumer must start anew "
    "(restore.accept_logical_slots says that it may)",
    "prepared": "prepared transaction {object} in {detail} is pending; commit or roll it back",
    "superuser": "superuser {object} is connected (pid {detail}) and only a superuser can end that session",
    "signal": "{detail} sessions of {object} cannot be ended: grant pg_signal_backend",
}


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What the swap did to clients.

    :param disconnected: sessions that were ended.
    :param seconds_closed: from closing the live name until it was open again.
    :param old: where the former live database is now; it accepts no connections.
    """

    disconnected: int
    seconds_closed: float
    old: str


def check_swap(
    connection: Connection[Any],
    live: str,
    beside: str,
    old: str,
    *,
    accept_logical_slots: bool = False,
    planned: bool = False,
) -> list[str]:
    """What forbids the swap now, one sentence each; empty when nothing does. Changes nothing.

    :param planned: ``beside`` need not be there yet.
    """
    names = {"live": live, "beside": beside, "old": old}
    rows = connection.execute(load_sql("restore/swap_blockers"), names).fetchall()
    return [
        _REASONS[kind].format(object=name, detail=detail)
        for kind, name, detail in rows
        if not (kind == "slot" and accept_logical_slots)
        and not (kind == "missing" and name == beside and planned)
    ]


def swap(
    admin: ClusterConnection,
    *,
    live: str,
    beside: str,
    old: str,
    beside_oid: int | None = None,
    timeout: timedelta = _DEFAULT_TIMEOUT,
) -> SwapReport:
    """Rename ``live`` to ``old`` and ``beside`` to ``live``, ending all their sessions.

    :param admin: to a third database of the cluster; its role owns both (by membership) and has CREATEDB.
    :param beside_oid: the database that was validated; another one of the same name is refused.
    :param timeout: how long sessions may resist.
    :raises SwapBlockedError: it did not happen; ``live`` is the database it was and open.
    """
    with admin.connect(application_name="backstop swap") as session:
        _wait_no_longer_than(session, timeout)
        beside_was_open = _is_open(session, beside)
        closed_at = time.monotonic()
        try:
            with session.transaction():
                _allow_connections(session, live, allowed=False)
                _allow_connections(session, beside, allowed=False)
            disconnected = _rename_when_alone(
                session, live, beside, old, beside_oid, deadline=closed_at + timeout.total_seconds()
            )
        except Error as error:
            raise SwapBlockedError(
                f"{live} was not swapped for {beside}: {error.diag.message_primary or error}",
                hint=_hint(error, "the live database is as it was; try again"),
            ) from None
        finally:
            # Also after success, where it finds nothing to do: the answer to COMMIT may have been lost.
            names = [live, beside] if beside_was_open else [live]
            try:
                _reopen_by_any_means(admin, session, *names)
            except (KeyboardInterrupt, SystemExit):
                # Whoever ends us now must not leave the live database closed.
                _reopen_by_any_means(admin, session, *names)
                raise
        return SwapReport(disconnected, time.monotonic() - closed_at, old)


def put_in_place(admin: ClusterConnection, *, live: str, beside: str, beside_oid: int | None = None) -> None:
    """Where there is no live database any more: the restored one takes its name.

    :raises SwapBlockedError: it could not be renamed, and keeps its name.
    """
    with admin.connect(application_name="backstop swap") as session:
        _wait_no_longer_than(session, _DEFAULT_TIMEOUT)
        try:
            _end_sessions(session, beside, deadline=time.monotonic() + _DEFAULT_TIMEOUT.total_seconds())
            with session.transaction():
                _rename(session, beside, live)
                _refuse_another(session, live, beside, beside_oid)
        except Error as error:
            raise SwapBlockedError(
                f"{beside} was not renamed to {live}: {error.diag.message_primary or error}",
                hint=_hint(error, f"end what is connected to {beside}, then try again"),
            ) from None


def reopen(connection: Connection[Any], *databases: str) -> list[str]:
    """Let those of the databases that exist and are closed accept connections again; returns which were.

    For teardown after a swap whose process may have been killed. Not for databases that a swap retired.
    """
    closed = connection.execute(
        "SELECT datname FROM pg_catalog.pg_database WHERE datname = ANY(%s) AND NOT datallowconn",
        [list(databases)],
    ).fetchall()
    for (name,) in closed:
        _allow_connections(connection, name, allowed=True)
    return [name for (name,) in closed]


def _rename_when_alone(
    session: Connection[Any], live: str, beside: str, old: str, beside_oid: int | None, *, deadline: float
) -> int:
    ended: set[int] = set()
    while True:
        ended |= _end_sessions(session, live, beside, deadline=deadline)
        try:
            with session.transaction():
                remaining_ms = max(1, int((deadline - time.monotonic()) * 1000))
                session.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", [str(remaining_ms)])
                # One transaction: no moment without a live database, and no half of it after a crash.
                _rename(session, live, old)
                _rename(session, beside, live)
                _refuse_another(session, live, beside, beside_oid)
                _allow_connections(session, live, allowed=True)
        except errors.ObjectInUse:
            # A session that had passed the door before it was closed. PostgreSQL has waited 5 s for it.
            if time.monotonic() > deadline:
                raise
            continue
        return len(ended)


def _refuse_another(session: Connection[Any], renamed: str, beside: str, wanted: int | None) -> None:
    """Asked after the rename, whose lock nobody gets past: another restore may have made it anew."""
    if wanted is not None and database_oid(session, renamed) != wanted:
        raise SwapBlockedError(
            f"{beside} is not the database that was validated: another restore has made it anew since",
            hint="see who restores the same backup; validate the copy again, then swap",
        )


def _end_sessions(session: Connection[Any], *databases: str, deadline: float) -> set[int]:
    """End sessions until none is left; returns their process ids."""
    ended: set[int] = set()
    query = load_sql("restore/end_sessions")
    while True:
        told = session.execute(query, {"databases": list(databases)}).fetchall()
        ended |= {pid for pid, _ in told}
        left = session.execute(
            "SELECT pid, usename FROM pg_catalog.pg_stat_activity "
            "WHERE datname = ANY(%s) AND usesysid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()",
            [list(databases)],
        ).fetchall()
        if not left:
            return ended
        if time.monotonic() > deadline:
            who = ", ".join(f"{user} (pid {pid})" for pid, user in left[:5])
            raise SwapBlockedError(
                f"{len(left)} sessions in {' and '.join(databases)} do not end: {who}",
                hint="stop what connects there; sessions of superusers only a superuser can end",
            )
        time.sleep(_POLL_SECONDS)


def _reopen_by_any_means(admin: ClusterConnection, session: Connection[Any], *databases: str) -> None:
    deadline = time.monotonic() + _REOPEN_SECONDS
    connection: Connection[Any] | None = session
    while True:
        try:
            if connection is None:
                connection = admin.connect(application_name="backstop swap")
                _wait_no_longer_than(connection, _DEFAULT_TIMEOUT)
            reopen(connection, *databases)
        except (Error, BackstopError) as error:
            connection = None
            if time.monotonic() > deadline:
                raise SwapBlockedError(
                    f"{databases[0]} may still refuse connections: {error}",
                    hint="once the server answers, run ALTER DATABASE … ALLOW_CONNECTIONS true on it",
                ) from error
            time.sleep(0.2)
            continue
        if connection is not session:
            connection.close()
        return


def _wait_no_longer_than(session: Connection[Any], timeout: timedelta) -> None:
    """Whoever has changed a database and not committed would keep us, and the application, waiting."""
    milliseconds = max(1, int(timeout.total_seconds() * 1000))
    session.execute("SELECT pg_catalog.set_config('lock_timeout', %s, false)", [str(milliseconds)])


def _hint(error: Error, otherwise: str) -> str:
    if isinstance(error, errors.InsufficientPrivilege):
        return "grant this role what include/sql/roles/restore_role.sql lists"
    if isinstance(error, errors.LockNotAvailable):
        return (
            "a transaction somewhere on the server has changed one of them (GRANT … ON DATABASE, "
            "ALTER DATABASE) and not ended: end it, then try again"
        )
    return otherwise


def _is_open(session: Connection[Any], database: str) -> bool:
    row = session.execute(
        "SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = %s", [database]
    ).fetchone()
    return bool(row and row[0])


def _allow_connections(connection: Connection[Any], database: str, *, allowed: bool) -> None:
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    connection.execute(statement.format(sql.Identifier(database), sql.SQL("true" if allowed else "false")))


def _rename(connection: Connection[Any], database: str, new_name: str) -> None:
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    connection.execute(statement.format(sql.Identifier(database), sql.Identifier(new_name)))
