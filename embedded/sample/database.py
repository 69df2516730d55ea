"""Creates and fills the sample database. The SQL beside this file is the data; here is only the order."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError
from backstop.postgres.connection import source_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psycopg

    from backstop.postgres.connection import ClusterConnection

DBNAME = "calibrify"
DEFAULT_SEED = 20261123

_SQL = Path(__file__).parent / "sql"
_STEPS = ("20_tables", "30_data", "40_constraints", "50_logic", "60_privileges")
_MARK = "Calibrify sample data"

# Rows at scale 1, which is about 100 MB of database.
_ROWS = {
    "users": 120,
    "equipment": 1_500,
    "calibrations": 30_000,
    "measurements": 300_000,
    "certificates": 6_000,
    "scans": 24,
}
_PHOTOS = 300


@dataclass(frozen=True, slots=True)
class SampleLoad:
    """What :func:`load` did, or found done.

    :param seconds: how long loading took; 0 for a load found done.
    """

    dbname: str
    scale: float
    seed: int
    size_bytes: int
    seconds: float


def row_counts(scale: float) -> dict[str, int]:
    """Rows per kind at this scale. Each calibration has ten measurements, each fifth one a certificate.

    :raises ConfigurationError: the scale is not a positive number.
    """
    if not 0 < scale < float("inf"):
        raise ConfigurationError(
            f"scale {scale} is not a positive number", hint="1 is about 100 MB; 0.01 is enough for a test"
        )
    counts = {name: max(1, round(rows * scale)) for name, rows in _ROWS.items()}
    counts["calibrations"] = max(10, counts["calibrations"])
    counts["measurements"] = counts["calibrations"] * 10
    counts["certificates"] = counts["calibrations"] // 5
    return counts


def photo_count(scale: float) -> int:
    """How many pieces of equipment have a photo, in the database and in the media tree alike."""
    return min(row_counts(scale)["equipment"], max(3, round(_PHOTOS * scale)))


def load(
    connection: ClusterConnection,
    *,
    scale: float,
    seed: int = DEFAULT_SEED,
    app_password: str | None = None,
    dbname: str = DBNAME,
    progress: Callable[[str], None] = lambda step: None,
) -> SampleLoad:
    """Create roles, database and data; equal seed and scale give equal content on every server version.

    Everything inside the database is one transaction, so a load that was interrupted leaves an empty
    database, which the next one fills.

    :param connection: a superuser of the cluster, in any existing database.
    :param app_password: for ``calibrify_app`` and ``calibrify_auditor``; None leaves both without one.
    :raises ConfigurationError: the sample, or something else, is already in ``dbname``.
    """
    started = time.monotonic()
    settings = row_counts(scale) | {"photos": photo_count(scale), "seed": seed}
    if found := loaded(connection, dbname=dbname):
        raise ConfigurationError(
            f"database {dbname} already holds the sample data (scale {found.scale:g}, seed {found.seed})",
            hint=f"use it as it is, or drop database {dbname} first",
        )
    progress("roles and database")
    create_empty(connection, app_password=app_password, dbname=dbname)
    inside = connection.with_database(dbname)
    with inside.connect(autocommit=False) as session, source_errors(inside.location):
        _refuse_strangers(session, dbname)
        _fill(session, settings, progress)
        session.execute(_comment(dbname, scale, seed))
        session.commit()
        session.autocommit = True
        progress("statistics")
        session.execute("VACUUM (ANALYZE)")
        size = _size(session, dbname)
    return SampleLoad(dbname, scale, seed, size, time.monotonic() - started)


def create_empty(
    connection: ClusterConnection, *, app_password: str | None = None, dbname: str = DBNAME
) -> None:
    """Create the roles and the database, without content, unless they exist.

    :param connection: a superuser of the cluster, in any existing database.
    """
    with connection.connect() as session, source_errors(connection.location, secret=app_password):
        session.execute(_sql("10_roles"))
        _set_passwords(session, app_password)
        if not _exists(session, dbname):
            _create_database(session, dbname)


def loaded(connection: ClusterConnection, *, dbname: str = DBNAME) -> SampleLoad | None:
    """The sample that ``dbname`` holds, or None when there is no such database or it holds something else."""
    with connection.connect() as session, source_errors(connection.location):
        row = session.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (dbname,)
        ).fetchone()
        mark = (row[0] or "") if row else ""
        if not mark.startswith(_MARK):
            return None
        scale, seed = mark.removeprefix(f"{_MARK}, scale ").split(", seed ")
        return SampleLoad(dbname, float(scale), int(seed), _size(session, dbname), 0.0)


def _fill(
    session: psycopg.Connection[tuple[Any, ...]],
    settings: Mapping[str, int],
    progress: Callable[[str], None],
) -> None:
    from psycopg import sql

    session.execute("SET LOCAL ROLE calibrify_owner")
    session.execute("SET LOCAL search_path = public")
    # What a client or server sets must not show in the data.
    session.execute("SET LOCAL TimeZone = 'UTC'")
    session.execute("SET LOCAL DateStyle = 'ISO'")
    session.execute("SET LOCAL maintenance_work_mem = '256MB'")
    session.execute("SET LOCAL synchronous_commit = off")
    for name, value in settings.items():
        session.execute("SELECT set_config(%s, %s, true)", (f"sample.{name}", str(value)))
    session.execute(
        sql.SQL(
            """CREATE FUNCTION pg_temp.draw(row_number bigint, salt bigint, bound bigint) RETURNS bigint
            LANGUAGE sql IMMUTABLE AS
            'SELECT (hashint8extended(row_number, salt + {}) & 9223372036854775807) % bound'"""
        ).format(sql.Literal(settings["seed"] * 1000))
    )
    for step in _STEPS:
        progress(step[3:])
        session.execute(_sql(step))
    session.execute("RESET ROLE")


def _create_database(session: psycopg.Connection[tuple[Any, ...]], dbname: str) -> None:
    from psycopg import sql

    # The built-in provider (17 and later) sorts the same on every operating system.
    locale = (
        "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
        if session.info.server_version >= 170000
        else "LOCALE 'C'"
    )
    name = sql.Identifier(dbname)
    session.execute(
        sql.SQL("CREATE DATABASE {} OWNER calibrify_owner TEMPLATE template0 ENCODING 'UTF8' ").format(name)
        + sql.SQL(locale)
    )
    for statement in (
        "ALTER DATABASE {} CONNECTION LIMIT 300",
        "ALTER DATABASE {} SET TimeZone = 'Europe/Berlin'",
        "ALTER DATABASE {} SET DateStyle = 'ISO, DMY'",
        "ALTER ROLE calibrify_app IN DATABASE {} SET statement_timeout = '30s'",
        "REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC",
        "GRANT CONNECT, TEMPORARY ON DATABASE {} TO calibrify_app",
        "GRANT CONNECT ON DATABASE {} TO calibrify_readonly",
    ):
        session.execute(sql.SQL(statement).format(name))


def _set_passwords(session: psycopg.Connection[tuple[Any, ...]], password: str | None) -> None:
    from psycopg import sql

    if password is None:
        return
    for role in ("calibrify_app", "calibrify_auditor"):
        # Only the verifier travels, so that no statement log ever holds the password.
        verifier = session.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        session.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier.decode()))
        )


def _refuse_strangers(session: psycopg.Connection[tuple[Any, ...]], dbname: str) -> None:
    row = session.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LIMIT 1"
    ).fetchone()
    if row:
        raise ConfigurationError(
            f"database {dbname} holds {row[0]}, which is not the sample's",
            hint="name another database, or drop this one",
        )


def _comment(dbname: str, scale: float, seed: int) -> Any:
    from psycopg import sql

    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(dbname), sql.Literal(f"{_MARK}, scale {scale:g}, seed {seed}")
    )


def _exists(session: psycopg.Connection[tuple[Any, ...]], dbname: str) -> bool:
    return bool(session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (dbname,)).fetchone())


def _size(session: psycopg.Connection[tuple[Any, ...]], dbname: str) -> int:
    row = session.execute("SELECT pg_database_size(%s)", (dbname,)).fetchone()
    return int(row[0]) if row else 0


def _sql(step: str) -> str:
    return (_SQL / f"{step}.sql").read_text(encoding="utf-8")
