"""Databases that Backstop makes: their names, creating one like the source, dropping only our own.

``properties`` everywhere is what include/sql/catalog/database_properties.sql answers.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from psycopg import Connection, Error, errors, sql

from backstop.errors import RestoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from backstop.model.backup import BackupLabel

_NAME_BYTES = 63  # NAMEDATALEN - 1
_OURS = re.compile(r".+_(?P<what>restored|replaced)_\d{8}t\d{6}z", re.DOTALL)
_TIME = re.compile(r"\d{8}t\d{6}z")
_ACL_LINE = re.compile(
    r"(?P<grantee>.+)=(?P<privilege>CREATE|CONNECT|TEMPORARY)(?P<option> WITH GRANT OPTION)?", re.DOTALL
)
# Settings whose stored value is a list of quoted identifiers (GUC_LIST_QUOTE in PostgreSQL's guc_tables.c).
_QUOTED_LISTS = {
    "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
    "temp_tablespaces", "unix_socket_directories",
}  # fmt: skip


def beside_name(database: str, label: BackupLabel) -> str:
    """The name of the copy restored beside ``database``: ``calibrify_restored_20261123t010000z``."""
    return _derived(database, f"_restored_{label.text[:16].lower()}")


def old_name(database: str, swapped_at: datetime) -> str:
    """The name that ``database`` keeps after a swap: ``calibrify_replaced_20261123t113000z``."""
    return _derived(database, f"_replaced_{swapped_at.astimezone(timezone.utc):%Y%m%dt%H%M%Sz}")


def free_old_name(connection: Connection[Any], database: str, now: datetime) -> str:
    """:func:`old_name` of this second, or of the next one that no earlier swap has taken."""
    while exists(connection, name := old_name(database, now)):
        now += timedelta(seconds=1)
    return name


def kept_databases(connection: Connection[Any], database: str) -> list[str]:
    """What swaps have put aside of ``database``, in the order in which those swaps were planned."""
    prefix = _derived(database, "_replaced_20261123t113000z")[: -len("20261123t113000z")]
    query = "SELECT datname FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, %s)"
    names = [str(name) for (name,) in connection.execute(query, [prefix])]
    # Behind the prefix comes a time alone: another database's name may begin like one that we keep.
    return sorted(name for name in names if _TIME.fullmatch(name[len(prefix) :]))


def create_like(connection: Connection[Any], name: str, properties: Mapping[str, Any], owner: str) -> None:
    """Create an empty database with the source's encoding, locale and owner; only its owner may connect.

    Outsiders get in with :func:`apply_properties`, once the copy is complete.

    :param connection: autocommit, to any other database of the cluster.
    :raises RestoreError: the name is taken, the locale is not to be had here, or rights are missing.
    """
    options = list(_options(properties, connection.info.server_version))
    database, role = sql.Identifier(name), sql.Identifier(owner)
    with _explained(f"database {name}", properties):
        connection.execute(
            # Closed at first: between CREATE and REVOKE anyone might connect.
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ALLOW_CONNECTIONS false {}").format(
                database, role, sql.SQL(" ").join(options)
            )
        )
    try:
        with _explained(f"database {name}", properties), connection.transaction():
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS 'being restored by Backstop'").format(database)
            )
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))
    except RestoreError:
        connection.execute(sql.SQL("DROP DATABASE {}").format(database))
        raise


def apply_properties(connection: Connection[Any], name: str, properties: Mapping[str, Any]) -> list[str]:
    """Give the restored database the source's privileges, comment, connection limit and settings.

    :returns: one sentence for each that this role may not set or whose role is missing here.
    """
    notes = []
    with connection.transaction():
        for what, role, statement in _property_statements(name, properties):
            try:
                with connection.transaction():
                    _execute_as(connection, role, statement)
            except Error as error:
                notes.append(f"database {name}: {what} was not set: {_reason(error)}")
    return notes


def refused_settings(
    connection: Connection[Any], name: str, properties: Mapping[str, Any]
) -> dict[tuple[str | None, str], str]:
    """Which of the source's settings this role may not make there, and why; nothing is changed.

    :param connection: autocommit, to any database of the cluster.
    :returns: a sentence by role (None: of the database) and setting, for each that
        :func:`apply_properties` has noted.
    """
    refused = {}
    with connection.transaction(force_rollback=True):
        for role, setting, statement in _setting_statements(name, properties):
            try:
                with connection.transaction():
                    _execute_as(connection, role, statement)
            except Error as error:
                refused[role, setting] = f"{_setting_of(role, setting)} was not set: {_reason(error)}"
    return refused


def exists(connection: Connection[Any], name: str) -> bool:
    """Whether the cluster has a database of that name."""
    query = "SELECT FROM pg_catalog.pg_database WHERE datname = %s"
    return connection.execute(query, [name]).fetchone() is not None


def database_oid(connection: Connection[Any], name: str) -> int | None:
    """What tells a database from a later one of the same name; None when there is none."""
    row = connection.execute("SELECT oid FROM pg_catalog.pg_database WHERE datname = %s", [name]).fetchone()
    return int(row[0]) if row else None


def drop_database(connection: Connection[Any], name: str, *, what: str = "restored") -> None:
    """Drop a copy that Backstop made (its sessions are ended); absent is success.

    :param what: ``restored`` copies, or, said explicitly, what a swap ``replaced``.
    :raises RestoreError: the name is not of that kind, or rights are missing.
    """
    match = _OURS.fullmatch(name)
    if match is None or match["what"] != what:
        raise RestoreError(
            f"database {name} is none that Backstop has {what}, and was not dropped",
            hint="drop it by hand if it is really in the way",
        )
    with _explained(f"database {name}", {}):
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _reason(error: Error) -> str:
    """The server's words, unless they may quote a value: settings may be secrets of the application."""
    if isinstance(error, errors.InvalidParameterValue):
        return "the server does not accept its value"
    return error.diag.message_primary or str(error)


def _derived(database: str, suffix: str) -> str:
    room = _NAME_BYTES - len(suffix)
    stem = database.encode()
    if len(stem) <= room:
        return database + suffix
    # A hash keeps apart what the cut would make equal.
    mark = "_" + hashlib.sha256(stem).hexdigest()[:8]
    return stem[: room - len(mark)].decode(errors="ignore") + mark + suffix


def _options(properties: Mapping[str, Any], server_version: int) -> Iterator[sql.Composed]:
    provider = properties.get("locale_provider") or "libc"
    locale = properties.get("icu_locale")
    yield sql.SQL("ENCODING {}").format(sql.Literal(properties["encoding"]))
    if server_version >= 150000:
        yield sql.SQL("LOCALE_PROVIDER {}").format(sql.Identifier(provider))
    for option, value in (
        ("LC_COLLATE", properties.get("collate")),
        ("LC_CTYPE", properties.get("ctype")),
        ("ICU_LOCALE", locale if provider == "icu" else None),
        ("ICU_RULES", properties.get("icu_rules")),
        ("BUILTIN_LOCALE", locale if provider == "builtin" else None),
    ):
        if value is not None:
            yield sql.SQL("{} {}").format(sql.SQL(option), sql.Literal(value))


def _execute_as(connection: Connection[Any], role: str | None, statement: sql.Composed) -> None:
    """Without CREATEROLE a role's settings are the role's own to change: become it where we may."""
    row = connection.execute(
        "SELECT pg_catalog.current_setting('role'), EXISTS (SELECT FROM pg_catalog.pg_roles AS r "
        "JOIN pg_catalog.pg_roles AS me ON me.rolname = current_user AND NOT me.rolsuper "
        "WHERE r.rolname = %s AND pg_catalog.pg_has_role(r.oid, 'MEMBER'))",
        [role],
    ).fetchone()
    ours, member = row or ("none", False)
    if member:
        connection.execute("SELECT pg_catalog.set_config('role', %s, true)", [role])
    connection.execute(statement)
    if member:
        connection.execute("SELECT pg_catalog.set_config('role', %s, true)", [ours])


def _property_statements(
    name: str, properties: Mapping[str, Any]
) -> Iterator[tuple[str, str | None, sql.Composed]]:
    """What is set, the role whose own affair it is (None: the database owner's), and how."""
    database = sql.Identifier(name)
    comment = sql.Literal(properties.get("comment"))
    yield "comment", None, sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, comment)
    limit = sql.Literal(properties.get("connection_limit", -1))
    yield "connection limit", None, sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(database, limit)
    # What a new database grants by itself goes first: PUBLIC and the owner.
    yield "privileges", None, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database)
    owner = sql.Identifier(properties["owner"])
    yield "privileges", None, sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, owner)
    for line in properties.get("acl", ()):
        yield f"privilege {line}", None, _grant(database, line)
    for role, setting, statement in _setting_statements(name, properties):
        yield _setting_of(role, setting), role, statement


def _setting_of(role: str | None, setting: str) -> str:
    return f"setting {setting} of role {role}" if role else f"setting {setting}"


def _setting_statements(
    name: str, properties: Mapping[str, Any]
) -> Iterator[tuple[str | None, str, sql.Composed]]:
    """Role (None: the database itself), setting, and what sets it."""
    for entry in properties.get("settings", ()):
        for line in entry["settings"]:
            setting, _, value = line.partition("=")
            yield entry["role"], setting, _set(sql.Identifier(name), entry["role"], setting, value)


def _grant(database: sql.Identifier, line: str) -> sql.Composed:
    match = _ACL_LINE.fullmatch(line)
    if match is None:
        raise RestoreError(f"privilege {line!r} is not understood", hint="use the Backstop that wrote it")
    public = match["grantee"] == "PUBLIC"
    return sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
        sql.SQL(match["privilege"]),
        database,
        sql.SQL("PUBLIC") if public else sql.Identifier(match["grantee"]),
        sql.SQL(match["option"] or ""),
    )


def _set(database: sql.Identifier, role: str | None, setting: str, value: str) -> sql.Composed:
    values = _list_elements(value) if setting.lower() in _QUOTED_LISTS else [value]
    subject = (
        sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)
        if role
        else sql.SQL("DATABASE {}").format(database)
    )
    # A name such as myapp.tenant is one identifier a part.
    return sql.SQL("ALTER {} SET {} TO {}").format(
        subject, sql.Identifier(*setting.split(".")), sql.SQL(", ").join(map(sql.Literal, values))
    )


def _list_elements(value: str) -> list[str]:
    """``"$user", public`` as its parts: given back as one literal it would be one (odd) schema name."""
    return [
        element[1:-1].replace('""', '"') if element.startswith('"') else element
        for element in re.findall(r'"(?:[^"]|"")*"|[^\s,"]+', value)
    ] or [""]


@contextmanager
def _explained(what: str, properties: Mapping[str, Any]) -> Iterator[None]:
    """Turn the server's refusals into errors that name the object and the next step."""
    try:
        yield
    except Error as error:
        message = error.diag.message_primary or str(error)
        raise RestoreError(f"{what}: {message}", hint=_hint(error, message, properties)) from None


def _hint(error: Error, message: str, properties: Mapping[str, Any]) -> str:
    if isinstance(error, errors.DuplicateDatabase):
        return "it is there from an earlier restore: look at it, then drop it and try again"
    if isinstance(error, errors.InsufficientPrivilege):
        return "grant this role what include/sql/roles/restore_role.sql lists"
    if "ICU" in message or (properties.get("locale_provider") == "icu" and "locale" in message):
        return f"it needs a PostgreSQL built with ICU that knows the locale {properties.get('icu_locale')}"
    if "locale" in message.lower():
        names = sorted({str(properties.get(key)) for key in ("collate", "ctype")})
        return (
            f"install the locale {' and '.join(names)} on the server's machine "
            "(Debian: package locales-all, or package locales and `locale-gen`)"
        )
    return "see the server's log"
