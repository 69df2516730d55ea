"""How a page reads the inventory: over sessions that are kept, and with little patience."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import psycopg

from backstop.postgres.connection import ClusterConnection, source_errors
from backstop.repository.inventory_version import InventoryDatabase

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.credentials import CredentialSource
    from backstop.targets import Configuration

CONNECT_SECONDS = 2
STATEMENT_SECONDS = 5
SILENT_SECONDS = STATEMENT_SECONDS + 2
"""The server ends a statement by itself; one that has not even done that by now will not answer any more."""
KEPT_SESSIONS = 4
_LOOK_SECONDS = 0.1
REMEMBERED_SECONDS = 30
"""A changed connection counts after so long."""


class Kept:
    """Sessions that nobody uses now, the one used last on top."""

    def __init__(self, most: int = KEPT_SESSIONS) -> None:
        self._most = most
        self._idle: list[LentSession] = []
        self._lock = threading.Lock()

    def take(self) -> LentSession | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def give_back(self, session: LentSession) -> bool:
        """False: there are enough."""
        with self._lock:
            if len(self._idle) >= self._most:
                return False
            self._idle.append(session)
            return True

    def drop(self) -> None:
        """End them all."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.end()


class LentSession(psycopg.Connection[tuple[Any, ...]]):
    """A session that goes back to where it came from when it is closed."""

    kept: Kept | None = None
    patience_seconds: float = SILENT_SECONDS

    def wait(self, gen: Any, interval: float = _LOOK_SECONDS, timeout: float | None = None) -> Any:
        """A server that hangs, or one that a firewall hides, says nothing at all: whoever waits for it would
        hold one of the few threads that Airflow's API server answers everybody with.
        """
        began = time.monotonic()
        try:
            return super().wait(
                gen,
                interval,
                self.patience_seconds if timeout is None else min(timeout, self.patience_seconds),
            )
        except psycopg.OperationalError:
            if not self.closed and self.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE:
                self.end()
                raise psycopg.OperationalError(
                    f"it has said nothing for {time.monotonic() - began:.0f} s"
                ) from None
            raise

    def close(self) -> None:
        sound = not self.closed and self.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        if not (sound and self.kept is not None and self.kept.give_back(self)):
            self.end()

    def end(self) -> None:
        super().close()


@dataclass(frozen=True)
class InventoryConnection(InventoryDatabase):
    """The inventory for whoever waits for a page.

    ``connect`` lends a kept session, or opens one within two seconds; a statement may take five.
    """

    kept: Kept = field(default_factory=Kept, repr=False, compare=False)

    @classmethod
    def to(cls, connection: ClusterConnection) -> InventoryConnection:
        """The same database."""
        return cls(**{one.name: getattr(connection, one.name) for one in fields(ClusterConnection)})

    def connect(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """:raises SourceUnavailableError: it does not answer in time."""
        while session := self.kept.take():
            if _answers(session):
                session.autocommit = options.get("autocommit", True)
                return session
            session.end()
            # The others lead to the same server: each would be waited for as long.
            self.kept.drop()
        opened = super().connect(**{"connect_timeout_seconds": CONNECT_SECONDS, **options})
        with source_errors(f"inventory {self.location}", secret=self.password):
            opened.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'".encode())
            if not opened.autocommit:
                opened.commit()
        if isinstance(opened, LentSession):
            opened.kept = self.kept
        return opened

    def open_session(self, parameters: dict[str, Any]) -> psycopg.Connection[tuple[Any, ...]]:
        return LentSession.connect("", autocommit=True, **parameters)


def _answers(session: LentSession) -> bool:
    """A server that was restarted, or a firewall that forgot us, is noticed here."""
    session.patience_seconds = CONNECT_SECONDS
    try:
        session.autocommit = True
        session.execute("SELECT 1")
    except psycopg.Error:
        return False
    session.patience_seconds = SILENT_SECONDS
    return True


class InventoryOfServer:
    """Finds the inventory as targets.yaml and Airflow's connections name it now.

    :param configuration: targets.yaml; :param credentials: where its connection is found.
    """

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        credentials: CredentialSource,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configuration = configuration
        self._credentials = credentials
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: InventoryConnection | None = None
        self._asked: tuple[str, float] | None = None

    def __call__(self) -> ClusterConnection | None:
        """None: targets.yaml names none.

        :raises ConfigurationError: targets.yaml is wrong, or Airflow has no such connection.
        """
        from backstop.wiring import inventory_connection

        configuration = self._configuration()
        if configuration.inventory is None:
            return None
        conn_id, now = configuration.inventory.conn_id, self._monotonic()
        with self._lock:
            if self._known and self._is_fresh(conn_id, now):
                return self._known
        named = inventory_connection(configuration, self._credentials)
        return self._remember(InventoryConnection.to(named), conn_id, now) if named else None

    def _is_fresh(self, conn_id: str, now: float) -> bool:
        """A secrets backend may be a service on the network, and take longer than the page."""
        asked, at = self._asked or ("", 0.0)
        return asked == conn_id and now - at < REMEMBERED_SECONDS

    def _remember(self, wanted: InventoryConnection, conn_id: str, now: float) -> InventoryConnection:
        """The one known already, with its sessions, unless it leads elsewhere by now."""
        with self._lock:
            self._asked = (conn_id, now)
            if self._known == wanted:
                return self._known
            former, self._known = self._known, wanted
        if former is not None:
            former.kept.drop()
        return wanted
