"""Says how a recovery stands every so often, for as long as a step of it goes on."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

from backstop.commands.disaster.telling import next_period
from backstop.model.canonical import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from backstop.commands.disaster.telling import Communication, Told


@contextmanager
def reporting(
    incident: Told,
    communication: Communication,
    *,
    every: timedelta,
    clock: Callable[[], datetime],
    stop: threading.Event | None = None,
) -> Iterator[None]:
    """A thread beside the step; it ends with it, and nothing that it fails with reaches the step.

    :param incident: an object of its own where the step's may not be shared between threads.
    :param stop: set by it when the step is over; given by tests.
    """
    over = stop or threading.Event()
    declared_at = parse_time(incident.status()["declared_at"])

    def tell() -> None:
        while True:
            now = clock()
            key, due_at = next_period(declared_at, now, every)
            if over.wait((due_at - now).total_seconds()):
                return
            communication(incident, "progress", key)

    thread = threading.Thread(target=copy_context().run, args=(tell,), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
