"""Can this server be backed up as it is, and what will be missing? Asked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceError
from backstop.model.lsn import Lsn
from backstop.postgres.catalog import TableRef, list_tables
from backstop.postgres.connection import server_encoding, source_errors
from backstop.postgres.names import qualified_name
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    import psycopg

    from backstop.postgres.connection import ClusterConnection

OLDEST_MAJOR = 15
UNKNOWN = "unknown"
_NAMED_AT_MOST = 10
_ROLE_SQL = "include/sql/roles/backup_role.sql"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a backup needs to know about its source.

    :param server_version: as ``SHOW server_version_num``: 180004 is 18.4.
    :param system_id: of the cluster, or ``unknown``.
    :param lsn: where its WAL stands.
    :param encoding: of the database, in PostgreSQL's spelling.
    :param bootstrap_superuser: the role with OID 10, which every cluster has under some name.
    :param lock_capacity: how many locks the server's lock table is made for.
    :param role_passwords: whether the roles' password verifiers can be read.
    :param missing: what a backup taken by this role will lack, in words.
    """

    server_version: int
    system_id: str
    timeline: int | None
    lsn: Lsn
    database: str
    encoding: str
    is_superuser: bool
    in_recovery: bool
    bootstrap_superuser: str
    lock_capacity: int
    table_count: int
    role_passwords: bool
    missing: tuple[str, ...]

    @property
    def major(self) -> int:
        return self.server_version // 10000


def check_source(connection: ClusterConnection) -> SourceFacts:
    """Look at the source without touching it.

    :raises SourceError: it cannot be backed up completely; every reason is named, with the next step.
    :raises SourceUnavailableError: it does not answer.
    """
    with connection.connect() as session, source_errors(connection.location):
        row = session.execute(load_sql("preflight/facts")).fetchone()
        if row is None:  # pragma: no cover - the current role exists
            raise AssertionError("current_user is not in pg_roles")
        (
            server_version,
            database,
            in_recovery,
            backend_pid,
            is_superuser,
            may_replicate,
            bootstrap_superuser,
            lock_capacity,
            role_passwords,
            may_identify,
            may_see_timeline,
            lsn,
            writing_timeline,
        ) = row
        _refuse_old(database, server_version)
        _refuse_pooler(session, connection, backend_pid)
        tables = list_tables(session)
        _refuse_too_many(database, len(tables), lock_capacity)
        if not is_superuser:
            _refuse_unreadable(session, database, tables)
        system_id = _scalar(session, "preflight/system_id") if may_identify else None
        if system_id is None and may_replicate:
            system_id = _identify(connection)
        missing = _missing(
            session,
            is_superuser=is_superuser,
            role_passwords=role_passwords,
            system_id=system_id,
            unlogged=[table for table in tables if table.unlogged] if in_recovery else [],
        )
        timeline = int(writing_timeline, 16) if writing_timeline else None
        if timeline is None and may_see_timeline:
            timeline = _scalar(session, "preflight/timeline")
        return SourceFacts(
            server_version=server_version,
            system_id=system_id or UNKNOWN,
            timeline=timeline,
            lsn=Lsn.parse(lsn),
            database=database,
            encoding=server_encoding(session),
            is_superuser=is_superuser,
            in_recovery=in_recovery,
            bootstrap_superuser=bootstrap_superuser,
            lock_capacity=lock_capacity,
            table_count=len(tables),
            role_passwords=role_passwords,
            missing=missing,
        )


def check_clock(connection: ClusterConnection, *, now: Callable[[], datetime], tolerance: timedelta) -> None:
    """Compare this machine's clock with the server's.

    :raises SourceError: they differ by more than ``tolerance``; one of the two is wrong, and a backup with a
        wrong time would be sorted, kept and restored wrongly.
    """
    ahead = now() - server_time(connection)
    if abs(ahead) > tolerance:
        word = "ahead of" if ahead > timedelta(0) else "behind"
        raise SourceError(
            f"this machine's clock is {abs(ahead)} {word} that of {connection.location}",
            hint="set both clocks (NTP), then back up again",
        )


def server_time(connection: ClusterConnection) -> datetime:
    """What time it is there."""
    with connection.connect() as session, source_errors(connection.location):
        theirs: datetime = _scalar(session, "preflight/clock")
    return theirs


def _scalar(session: psycopg.Connection[Any], name: str) -> Any:
    row = session.execute(load_sql(name)).fetchone()
    return row[0] if row else None


def _refuse_old(database: str, server_version: int) -> None:
    if server_version // 10000 < OLDEST_MAJOR:
        raise SourceError(
            f"{database} runs on PostgreSQL {server_version // 10000}; {OLDEST_MAJOR} or newer is needed",
            hint="upgrade the server; its community support has ended or is about to",
        )


def _refuse_pooler(session: psycopg.Connection[Any], connection: ClusterConnection, backend_pid: int) -> None:
    # A pooler hands out process ids of its own making, and may move us to another session between two
    # statements: locks and snapshots would be somebody else's.
    if session.info.backend_pid != backend_pid:
        raise SourceError(
            f"{connection.location} is a connection pooler, not the server itself",
            hint="name the server's own host and port in the connection",
        )


def _refuse_too_many(database: str, table_count: int, lock_capacity: int) -> None:
    needed = table_count + table_count // 10
    if needed > lock_capacity:
        raise SourceError(
            f"{database} has {table_count} tables to lock, and the server's lock table is made for "
            f"{lock_capacity} locks in all",
            hint="raise max_locks_per_transaction in proportion and restart the server",
        )


def _refuse_unreadable(session: psycopg.Connection[Any], database: str, tables: tuple[TableRef, ...]) -> None:
    names = {table.oid: table.name for table in tables}
    unreadable, hidden = [], []
    for oid, readable, rows_hidden in session.execute(
        load_sql("preflight/table_privileges"), {"oids": list(names)}
    ):
        if not readable:
            unreadable.append(names[oid])
        elif rows_hidden:
            hidden.append(names[oid])
    sequences = [
        qualified_name(*name) for name in session.execute(load_sql("preflight/unreadable_sequences"))
    ]
    row = session.execute(load_sql("preflight/unreadable_large_objects")).fetchone()
    count, first = row if row else (0, [])
    problems = [
        *_problem("SELECT is not granted on table", unreadable),
        *_problem("row-level security hides rows (the role lacks BYPASSRLS) of table", hidden),
        *_problem("SELECT is not granted on sequence", sequences),
        *_problem("SELECT is not granted on large object", map(str, first or []), count),
    ]
    if problems:
        raise SourceError(
            f"the backup role {session.info.user} cannot read all of {database}: {'; '.join(problems)}",
            hint=f"run {_ROLE_SQL} as a superuser of that database",
        )


def _problem(sentence: str, names: Iterable[str], count: int | None = None) -> list[str]:
    known = list(names)
    total = len(known) if count is None else count
    shown = known[:_NAMED_AT_MOST]
    rest = f" and {total - len(shown)} more" if total > len(shown) else ""
    return [f"{sentence} {', '.join(shown)}{rest}"] if total else []


def _missing(
    session: psycopg.Connection[Any],
    *,
    is_superuser: bool,
    role_passwords: bool,
    system_id: str | None,
    unlogged: list[TableRef],
) -> tuple[str, ...]:
    missing = []
    if not role_passwords:
        missing.append("passwords of roles (pg_authid is not readable for the backup role)")
    if system_id is None:
        missing.append("the cluster's system identifier (pg_control_system() is not allowed)")
    if not is_superuser:
        missing += [words for (words,) in session.execute(load_sql("preflight/superuser_only"))]
    missing += [f"rows of unlogged table {table.name} (a standby does not have them)" for table in unlogged]
    return tuple(missing)


def _identify(connection: ClusterConnection) -> str | None:
    """The system identifier by the replication protocol; None where pg_hba.conf forbids that too."""
    import psycopg

    replication = replace(connection, options={**connection.options, "replication": "database"})
    try:
        with replication.connect() as session:
            row = session.execute("IDENTIFY_SYSTEM").fetchone()
    except (SourceError, psycopg.Error):
        # Not lost: the caller lists the identifier among what is missing.
        return None
    return str(row[0]) if row else None
