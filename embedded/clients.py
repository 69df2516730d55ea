"""The application's clients during a swap: they ask, reconnect, and remember how long they waited."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from backstop.errors import BackstopError

if TYPE_CHECKING:
    from types import TracebackType

    from backstop.postgres.connection import ClusterConnection

QUESTIONS_A_SECOND = 200
"""Of all clients together: enough to meet a short swap, too little to slow it down."""
RECONNECT_SECONDS = 0.1


class ApplicationClients:
    """``count`` clients, each with a connection of its own, asking a question over and over.

    A client that is thrown out, refused or does not find the table reconnects until it gets an answer. Its
    downtime is the longest time from a question to its answer, all failures in between included.
    """

    def __init__(self, database: ClusterConnection, *, question: str, count: int = 10) -> None:
        self._database = database
        self._question = question
        self._stop = threading.Event()
        self._waits = [0.0] * count
        self._pause_seconds = count / QUESTIONS_A_SECOND
        self._failures = [0] * count
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(count)]

    def __enter__(self) -> ApplicationClients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    @property
    def downtime_seconds(self) -> float:
        """Of the client that waited longest."""
        return max(self._waits)

    @property
    def interrupted(self) -> int:
        """How many clients lost their connection."""
        return sum(1 for failures in self._failures if failures)

    def _ask(self, number: int) -> None:
        import psycopg

        asked = time.monotonic()
        while not self._stop.is_set():
            try:
                with self._database.connect(application_name="calibrify", autocommit=True) as session:
                    while not self._stop.is_set():
                        session.execute(self._question.encode())
                        self._waits[number] = max(self._waits[number], time.monotonic() - asked)
                        self._stop.wait(self._pause_seconds)
                        asked = time.monotonic()
            except (psycopg.Error, BackstopError):
                self._failures[number] += 1
                self._stop.wait(RECONNECT_SECONDS)
