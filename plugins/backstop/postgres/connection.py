"""How to reach one database of one PostgreSQL cluster, from Python and from the client tools."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceBusyError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import psycopg

APPLICATION_NAME = "backstop"

# A server, role or database may set any of these; each would end a long backup in the middle. Set after
# connecting, and only those the server knows: transaction_timeout came with 17, idle_session_timeout with 14.
_SESSION_SETTINGS = """
SELECT pg_catalog.set_config(name, '0', false)
FROM pg_catalog.pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
               'idle_session_timeout', 'transaction_timeout')
UNION ALL
-- Nothing in a user's schema may stand in for a catalogue function or operator (CVE-2018-1058).
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
UNION ALL
-- A database may bring others, and psycopg reads times in no other style than ISO.
SELECT pg_catalog.set_config('DateStyle', 'ISO, MDY', false)
"""

# PostgreSQL docs, appendix A. Classes (two characters) and whole codes.
_UNAVAILABLE = ("08", "53300", "57P01", "57P02", "57P03", "57P05", "58000", "58030")
_BUSY = ("40001", "40P01", "55P03")
_HINTS = {
    "28": "check the login, the password and pg_hba.conf for this role",
    "3D000": "check the database name in targets.yaml",
    "42501": "grant what include/sql/roles/backup_role.sql lists",
    "53200": "raise max_locks_per_transaction or free memory on the server",
}
# Before a session exists libpq passes on the server's words but not its SQLSTATE.
_CONNECT_WORDS = {
    "password authentication failed": "28",
    "no pg_hba.conf entry": "28",
    "authentication failed": "28",
    "no password supplied": "28",
    "role ": "28",
    'database "': "3D000",
    "permission denied for database": "42501",
}


@dataclass(frozen=True)
class ClusterConnection:
    """One database of one cluster. ``host`` is a name, an address or a socket directory, or several of them.

    :param options: further libpq parameters that hold no secret, such as ``sslrootcert``.
    """

    host: str
    port: int
    user: str
    dbname: str
    password: str | None = field(default=None, repr=False)
    sslmode: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def location(self) -> str:
        """For people: ``backup@db.example.org:5432/calibrify``; no secret."""
        return f"{self.user}@{self.host}:{self.port}/{self.dbname}"

    def with_database(self, name: str) -> ClusterConnection:
        """The same cluster and role, another database."""
        return replace(self, dbname=name)

    def connect(
        self,
        *,
        autocommit: bool = True,
        application_name: str = APPLICATION_NAME,
        dbname: str | None = None,
        connect_timeout_seconds: int = 10,
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """A session without time-outs, with TCP keepalives and ``search_path`` fixed to ``pg_catalog``.

        :raises SourceUnavailableError: nobody answers, or the server is starting, stopping or full.
        :raises SourceError: the server refuses this role, password or database.
        """
        location = self.with_database(dbname or self.dbname).location
        with source_errors(location, secret=self.password):
            parameters = self.libpq_parameters(
                application_name=application_name,
                dbname=dbname or self.dbname,
                connect_timeout_seconds=connect_timeout_seconds,
            )
            session = self.open_session(parameters)
            try:
                session.execute(_SESSION_SETTINGS)
                # A database may bring another, which lacks letters. The names in an SQL_ASCII database are
                # bytes, and psycopg would return them as such, equal to no text: LATIN1 passes every byte on
                # unchanged, both ways, as one character.
                untyped = server_encoding(session) == "SQL_ASCII"
                session.execute(f"SET client_encoding = '{'LATIN1' if untyped else 'UTF8'}'")
                session.autocommit = autocommit
            except BaseException:
                session.close()
                raise
        return session

    def open_session(self, parameters: dict[str, Any]) -> psycopg.Connection[tuple[Any, ...]]:
        """With what :meth:`libpq_parameters` says; psycopg's errors as they are."""
        import psycopg

        return psycopg.connect("", autocommit=True, **parameters)

    def libpq_parameters(
        self, *, application_name: str, dbname: str, connect_timeout_seconds: int
    ) -> dict[str, Any]:
        """What libpq is told, the password among it: never log or show this."""
        parameters = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "dbname": dbname,
            # libpq would otherwise take PGPASSWORD or read ~/.pgpass: a password nobody configured here. Nor
            # may our environment lead to another server than the one that is named, or than the tools', which
            # do not have it.
            "password": self.password or "",
            "passfile": "/nonexistent/pgpass",
            "hostaddr": ",".join("" for _ in self._hosts),
            "options": "",
            "target_session_attrs": "any",
            "sslmode": self.sslmode,
            "application_name": application_name,
            "connect_timeout": str(connect_timeout_seconds),
            "keepalives": "1",
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            **self.options,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    @contextmanager
    def child_environment(
        self, directory: Path, *, application_name: str = APPLICATION_NAME, encoding: str | None = None
    ) -> Iterator[dict[str, str]]:
        """The whole environment of a client tool, with a 0600 password file in ``directory`` while it lasts.

        Nothing of our own environment is in it but what is written here.

        :param encoding: of what the tool reads and writes; None leaves it to the tool and the database.
        """
        passfile = directory / f"pgpass-{os.urandom(6).hex()}"
        descriptor = os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(self._passfile_lines())
            yield {
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PGPASSFILE": str(passfile),
                "PGHOST": self.host,
                "PGPORT": str(self.port),
                "PGUSER": self.user,
                "PGDATABASE": self.dbname,
                "PGAPPNAME": application_name,
                "PGCONNECT_TIMEOUT": "10",
                # Without it pg_dumpall writes VALID UNTIL in the style of the database it happens to connect
                # to, and 03.02. of DMY is read back as the 2nd of March.
                "PGDATESTYLE": "ISO, MDY",
                **({"PGSSLMODE": self.sslmode} if self.sslmode else {}),
                **({"PGCLIENTENCODING": encoding} if encoding else {}),
                # libpq: target_session_attrs is PGTARGETSESSIONATTRS.
                **{f"PG{name.upper().replace('_', '')}": value for name, value in self.options.items()},
            }
        finally:
            passfile.unlink(missing_ok=True)

    @property
    def _hosts(self) -> list[str]:
        """libpq tries several, separated by commas, one after another."""
        return self.host.split(",")

    def _passfile_lines(self) -> str:
        if self.password is None:
            return ""
        hosts = self._hosts
        if any(host.startswith(("/", "@")) for host in hosts):
            # libpq calls its own compiled-in socket directory so when it looks for a line.
            hosts.append("localhost")
        fields = (str(self.port), "*", self.user, self.password)
        rest = ":".join("*" if text == "*" else _escape(text) for text in fields)
        return "".join(f"{_escape(host)}:{rest}\n" for host in hosts)


def server_encoding(session: psycopg.Connection[Any]) -> str:
    """Of the session's database, in PostgreSQL's spelling: ``UTF8``, ``SQL_ASCII``, ``LATIN1``."""
    return str(session.info.parameter_status("server_encoding"))


@contextmanager
def source_errors(location: str, *, secret: str | None = None) -> Iterator[None]:
    """Turn every psycopg error inside into a :class:`SourceError` that names ``location``.

    Only the server's primary message is kept: its DETAIL and CONTEXT can quote rows.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise source_error(error, location, secret=secret) from None


def source_error(error: psycopg.Error, location: str, *, secret: str | None = None) -> SourceError:
    """The :class:`SourceError` that fits the error's SQLSTATE (retryable ones are subclasses)."""
    message = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    if secret:
        message = message.replace(secret, "********")
    code = error.sqlstate or _connect_code(message)
    text = f"{location}: {message}"
    if not code or code.startswith(_UNAVAILABLE):
        return SourceUnavailableError(text, hint="check that the server is up and reachable from here")
    if code.startswith(_BUSY):
        return SourceBusyError(text, hint="try again later")
    hint = next((hint for prefix, hint in _HINTS.items() if code.startswith(prefix)), "see the server's log")
    return SourceError(f"{text} (SQLSTATE {code})", hint=hint)


def _connect_code(message: str) -> str | None:
    if "FATAL" not in message and "fe_sendauth" not in message:
        return None
    return next((code for words, code in _CONNECT_WORDS.items() if words in message), None)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
