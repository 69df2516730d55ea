"""One replication session: commands, their results, and COPY in both directions, never blocking for long.

libpq by way of ``psycopg.pq``: psycopg's own cursors speak neither BASE_BACKUP nor START_REPLICATION.
"""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceError, SourceUnavailableError
from backstop.postgres.replication_errors import replication_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from backstop.postgres.connection import ClusterConnection

OLDEST_VERSION = 150000
# A stop is honoured this soon, whatever we wait for.
_SLICE_SECONDS = 0.2
# For a command that a server answers at once; what waits for a checkpoint is not sent by execute().
_ANSWER_SECONDS = 60.0
_MOST_NOTICES = 100
# A server or role may set either; both would end a session that waits between two commands.
_SESSION_OPTIONS = "-c statement_timeout=0 -c idle_session_timeout=0"

END_OF_COPY = memoryview(b"")


class Wire:
    """A session on a walsender. For one thread; only :meth:`wake` may be called from another.

    :param stop: when set, whatever waits here ends within 0.2 s.
    """

    def __init__(
        self, connection: ClusterConnection, *, application_name: str, stop: threading.Event | None = None
    ) -> None:
        self.location = f"{connection.user}@{connection.host}:{connection.port} (replication)"
        self.stop = stop or threading.Event()
        self._heeds_stop = True
        self._give_up_at: float | None = None
        self.notices: list[str] = []
        """What the server warned of since the last :meth:`send`, the oldest hundred."""
        self._secret = connection.password
        self._session = self._connect(connection, application_name)
        self._pg = self._session.pgconn
        self._pg.notice_handler = self._note
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        self._poll.register(self._pg.socket, select.POLLIN)

    def _connect(self, connection: ClusterConnection, application_name: str) -> psycopg.Connection[Any]:
        import psycopg

        parameters = connection.libpq_parameters(
            application_name=application_name, dbname=connection.dbname, connect_timeout_seconds=10
        )
        options = f"{parameters.pop('options', '')} {_SESSION_OPTIONS}".strip()
        with self.errors():
            session = psycopg.connect("", autocommit=True, replication="true", options=options, **parameters)
        if session.pgconn.server_version < OLDEST_VERSION:
            major = session.pgconn.server_version // 10000
            session.close()
            raise SourceError(
                f"{self.location} is PostgreSQL {major}; base backups and WAL need 15 or later",
                hint="upgrade the server: releases before 15 get no more fixes; dumps of it still work",
            )
        return session

    @property
    def server_version(self) -> int:
        """As ``SHOW server_version_num``."""
        return self._pg.server_version

    def close(self) -> None:
        """End the session; whatever it was doing, the server stops."""
        self._session.close()
        for descriptor in (self._woken, self._waker):
            with suppress(OSError):
                os.close(descriptor)

    def wake(self) -> None:
        """Make a :meth:`receive` that waits return at once; from any thread."""
        # Closed already, or woken so often that the pipe is full: either way there is nothing to do.
        with suppress(OSError):
            os.write(self._waker, b"!")

    @contextmanager
    def within(self, seconds: float, *, heed_stop: bool = True) -> Iterator[None]:
        """Whatever waits inside gives up after so long: :class:`SourceUnavailableError`.

        :param heed_stop: otherwise a stop ends nothing here, for what has to be said after it.
        """
        before = self._heeds_stop, self._give_up_at
        self._heeds_stop, self._give_up_at = heed_stop, time.monotonic() + seconds
        try:
            yield
        finally:
            self._heeds_stop, self._give_up_at = before

    @contextmanager
    def errors(self, *, slot: str | None = None) -> Iterator[None]:
        """Turn psycopg's errors inside into ours."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise replication_error(error, self.location, secret=self._secret, slot=slot) from None

    # -- Commands --------------------------------------------------------------------------------------------

    def execute(self, command: str, *, slot: str | None = None) -> list[Any]:
        """Send a command and read all of its results (see :meth:`results`).

        :raises SourceUnavailableError: on a stop, or when there is no answer within a minute.
        """
        with self.errors(slot=slot), self.within(_ANSWER_SECONDS):
            self.send(command)
            return self.results()

    def send(self, command: str) -> None:
        """Begin a command; its results are read by :meth:`result`."""
        self.notices.clear()
        self._pg.send_query(command.encode())
        self.flush()

    def result(self) -> Any:
        """The next result, or None after the last.

        :raises psycopg.Error: the server answered with an error. :raises SourceUnavailableError: on a stop.
        """
        from psycopg.errors import error_from_result
        from psycopg.pq import ExecStatus

        result = self._next_result()
        if result is not None and result.status == ExecStatus.FATAL_ERROR:
            # The session stays usable: what still comes of this command is read to its end.
            with suppress(Exception):
                while self._next_result() is not None:
                    pass
            raise error_from_result(result)
        return result

    def _next_result(self) -> Any:
        while self._pg.is_busy():
            self._wait(_SLICE_SECONDS)
            self._refuse_if_over()
        return self._pg.get_result()

    def results(self) -> list[Any]:
        """All that are left; stops at one that begins a COPY, which is then the last in the list."""
        from psycopg.pq import ExecStatus

        found = []
        while (result := self.result()) is not None:
            found.append(result)
            if result.status in (ExecStatus.COPY_BOTH, ExecStatus.COPY_IN, ExecStatus.COPY_OUT):
                break
        return found

    # -- COPY ------------------------------------------------------------------------------------------------

    def receive(self, timeout_seconds: float) -> memoryview | None:
        """The next message; None when there was none in time, or on a wake-up or stop;
        :data:`END_OF_COPY` when the server has ended the COPY: its results say why.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            size_bytes, message = self._pg.get_copy_data(1)
            if size_bytes > 0:
                return message
            if size_bytes == -1:
                return END_OF_COPY
            left = deadline - time.monotonic()
            if left <= 0 or self._stopped or self._wait(min(left, _SLICE_SECONDS)):
                return None

    def receive_all(self) -> Iterator[memoryview]:
        """Every message until the server ends the COPY. :raises SourceUnavailableError: on a stop."""
        while True:
            message = self.receive(_SLICE_SECONDS)
            if message is END_OF_COPY:
                return
            if message is not None:
                yield message
            self._refuse_if_over()

    def put(self, message: bytes) -> None:
        """Queue a message and send what the network takes now; the rest goes with the next call here."""
        self._pg.put_copy_data(message)
        self._pg.flush()

    def end_copy(self) -> None:
        """Say that nothing more comes from us."""
        self._pg.put_copy_end()
        self.flush()

    def flush(self) -> None:
        """Wait until everything queued has been sent."""
        while self._pg.flush():
            self._wait(_SLICE_SECONDS, select.POLLIN | select.POLLOUT)
            self._refuse_if_over()

    def _wait(self, seconds: float, events: int = select.POLLIN) -> bool:
        """Wait for the server, then take in what it sent; returns whether somebody called :meth:`wake`."""
        self._poll.modify(self._pg.socket, events)
        ready = {descriptor for descriptor, _ in self._poll.poll(seconds * 1000)}
        # Also after a time-out: TLS may hold decrypted bytes that no longer make the socket readable.
        self._pg.consume_input()
        if self._woken not in ready:
            return False
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        return True

    @property
    def _stopped(self) -> bool:
        return self._heeds_stop and self.stop.is_set()

    def _refuse_if_over(self) -> None:
        if self._stopped:
            raise SourceUnavailableError(f"{self.location}: stopped on request", hint="start it again")
        if self._give_up_at is not None and time.monotonic() > self._give_up_at:
            raise SourceUnavailableError(
                f"{self.location} does not answer", hint="check that it is up and reachable from here"
            )

    def _note(self, result: Any) -> None:
        from psycopg.pq import DiagnosticField

        if len(self.notices) < _MOST_NOTICES:
            text = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
            self.notices.append(text.decode("utf-8", "replace"))
