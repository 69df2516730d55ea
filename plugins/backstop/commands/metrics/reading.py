"""Reads from the inventory what is to be shown."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceBusyError
from backstop.repository.findings import read_open_findings
from backstop.repository.inventory_moment import inventory_moment
from backstop.repository.observations import from_json
from backstop.sql import load_sql

if TYPE_CHECKING:
    import psycopg

    from backstop.model.finding import Finding
    from backstop.model.observation import Observation
    from backstop.postgres.connection import ClusterConnection

PATIENCE_SECONDS = 5
"""Half of what Prometheus waits by default, so that it is told why rather than timing out."""


class Reader:
    """Answers several threads, one after another.

    What has not been replaced since is not read again, and is the same object as before.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._known: dict[str, tuple[str, Observation | None]] = {}

    def read(self, connection: ClusterConnection) -> tuple[tuple[Observation, ...], tuple[Finding, ...]]:
        """What every target's newest watch saw, and the findings that are open, as of one moment.

        :raises SourceError: the inventory does not answer, or does not let us read.
        :raises ConfigurationError: it has no tables, or those of an older version.
        """
        if not self._turn.acquire(timeout=PATIENCE_SECONDS):
            raise SourceBusyError(
                f"inventory {connection.location} has not answered an earlier question yet",
                hint="see what its sessions wait for",
            )
        try:
            with inventory_moment(connection, connect_timeout_seconds=PATIENCE_SECONDS) as session:
                session.execute(f"SET LOCAL statement_timeout = '{PATIENCE_SECONDS}s'".encode())
                return self._observations(session), tuple(one.finding for one in read_open_findings(session))
        finally:
            self._turn.release()

    def _observations(self, session: psycopg.Connection[tuple[Any, ...]]) -> tuple[Observation, ...]:
        versions = dict(session.execute(load_sql("inventory/observation_versions").encode()).fetchall())
        self._known = {name: one for name, one in self._known.items() if versions.get(name) == one[0]}
        new = sorted(versions.keys() - self._known.keys())
        if new:
            statement = load_sql("inventory/observations_of").encode()
            for target, version, document in session.execute(statement, {"targets": new}):
                self._known[target] = (version, from_json(document))
        return tuple(seen for _, (_, seen) in sorted(self._known.items()) if seen is not None)
