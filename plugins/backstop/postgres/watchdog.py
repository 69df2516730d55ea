"""Sees to it that nobody waits for a backup: whoever would have to wait longer makes the backup yield.

A held snapshot's locks, an ALTER TABLE queued behind them and pg_dump queued behind that form a cycle which
PostgreSQL cannot see (the holder waits for pg_dump outside the database), and every later SELECT queues too.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceBusyError, SourceError, SourceUnavailableError
from backstop.postgres.connection import source_error
from backstop.postgres.names import qualified_name
from backstop.sql import load_sql

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    import psycopg

    from backstop.postgres.connection import ClusterConnection

POLL_SECONDS = 0.15
# Waits shorter than this are let be; with the poll and the yielding itself it stays well below a second.
PATIENCE_SECONDS = 0.4
_END_SECONDS = 10.0
_STATEMENT_KIND = re.compile(r"\s*(?:/\*.*?\*/|--[^\n]*\n|\s)*([A-Za-z]+)(?:\s+([A-Za-z]+))?", re.DOTALL)
_KINDS = frozenset(
    [
        "ALTER",
        "CLUSTER",
        "COPY",
        "CREATE",
        "DELETE",
        "DROP",
        "INSERT",
        "LOCK",
        "MERGE",
        "REFRESH",
        "REINDEX",
        "SELECT",
        "TRUNCATE",
        "UPDATE",
        "VACUUM",
    ]
)
_OBJECTS = frozenset(
    ["DATABASE", "INDEX", "MATERIALIZED", "SCHEMA", "SEQUENCE", "TABLE", "TRIGGER", "TYPE", "VIEW"]
)


class Watchdog:
    """Watches over all sessions whose ``application_name`` is the given one, from a session of its own.

    Use as a context manager. When something happens that ends the backup, :attr:`failure` says what,
    :attr:`stop` is set, and the server ends all our sessions within milliseconds. Thread-safe.
    """

    def __init__(self, connection: ClusterConnection, *, application_name: str, max_age: timedelta) -> None:
        self.stop = threading.Event()
        self.failure: SourceError | None = None
        self._connection = connection
        self._application_name = application_name
        self._max_age = max_age
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._holder: psycopg.Connection[Any] | None = None
        self._held_since = 0.0
        self._thread = threading.Thread(target=self._run, name="backstop-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._session = self._connection.connect(application_name=self._application_name)
        # ALTER ROLE … SET role would make us another role, which may not end our own sessions.
        self._session.execute("SET ROLE NONE")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.set()
        self._thread.join()
        self._session.close()

    def guard(self, holder: psycopg.Connection[Any]) -> None:
        """From now on this session must live, and not for longer than ``max_age``."""
        with self._lock:
            self._holder = holder
            self._held_since = time.monotonic()

    def release(self) -> None:
        """The guarded session is about to be closed on purpose."""
        with self._lock:
            self._holder = None

    def check(self) -> None:
        """:raises SourceError: what ended the backup, if anything did."""
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        import psycopg

        try:
            failure = self._watch()
        except psycopg.Error as error:
            failure = source_error(error, self._connection.location)
        except Exception as error:
            failure = SourceError(
                f"the watchdog over {self._connection.location} failed: {type(error).__name__}",
                hint="nothing was published; report this",
            )
        if failure is not None:
            self._yield(failure)

    def _watch(self) -> SourceError | None:
        while not self._finished.wait(POLL_SECONDS):
            failure = self._look()
            if failure is not None:
                return failure
        return None

    def _look(self) -> SourceError | None:
        with self._lock:
            holder, since = self._holder, self._held_since
            rows = self._session.execute(
                load_sql("watchdog/sessions"), {"application_name": self._application_name}
            ).fetchall()
            ours = [pid for pid, is_ours in rows if is_ours]
            if holder is not None and (holder.closed or holder.info.backend_pid not in ours):
                return SourceUnavailableError(
                    f"{self._connection.location} ended the session that held the snapshot",
                    hint="look for a restart, a fail-over or pg_terminate_backend in the server's log",
                )
        if len(rows) > len(ours):
            waiting = self._session.execute(
                load_sql("watchdog/waiting_sessions"), {"ours": ours, "patience_seconds": PATIENCE_SECONDS}
            ).fetchone()
            if waiting is not None:
                return _busy(self._connection.dbname, *waiting)
        if holder is not None and time.monotonic() - since > self._max_age.total_seconds():
            return SourceError(
                f"the snapshot of {self._connection.dbname} was held for {self._max_age}, the most allowed",
                hint="raise snapshot_max or jobs in targets.yaml, or back up at a quieter hour",
            )
        return None

    def _yield(self, failure: SourceError) -> None:
        import psycopg

        self.failure = failure
        self.stop.set()
        holder = self._holder
        # The server ends the sessions, whatever their clients are doing. Again and again: pg_dump may have
        # been about to open another one.
        give_up = time.monotonic() + _END_SECONDS
        with contextlib.suppress(psycopg.Error):
            while time.monotonic() < give_up:
                self._session.execute(
                    load_sql("watchdog/end_sessions"), {"application_name": self._application_name}
                )
                if self._finished.wait(0.05):
                    break
        if holder is not None:
            _cut(holder)


def _cut(session: psycopg.Connection[Any]) -> None:
    """End a session that another thread may be using: only its socket may be touched from here."""
    import psycopg

    with (
        contextlib.suppress(OSError, ValueError, psycopg.Error),
        socket.socket(fileno=os.dup(session.pgconn.socket)) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)


def _busy(
    dbname: str, pid: int, locktype: str, mode: str, schema: str | None, table: str | None, query: str | None
) -> SourceBusyError:
    what = qualified_name(schema, table) if schema and table else f"a {locktype} lock"
    kind = statement_kind(query or "")
    return SourceBusyError(
        f"process {pid} of {dbname} ({kind}, {mode}) had to wait for the backup's lock on {what}; "
        "the backup gave way",
        hint="it will be tried again; keep schema changes away from the backup's hour",
    )


def statement_kind(query: str) -> str:
    """``ALTER TABLE`` and the like: never more of the text, which may hold anything."""
    match = _STATEMENT_KIND.match(query)
    first, second = (match[1].upper(), (match[2] or "").upper()) if match else ("", "")
    if first not in _KINDS:
        return "some statement"
    return f"{first} {second}" if second in _OBJECTS else first
