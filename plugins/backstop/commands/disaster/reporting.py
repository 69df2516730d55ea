"""Says how a recovery stands every so often, for as long as a step of it goes on."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

from backstop.commands.disaster.telling import next_period
from backstop.model.canonical import parse_time
from backstop.model.words import what_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from backstop.commands.disaster.telling import Communication, Told

log = logging.getLogger(__name__)


@contextmanager
def reporting(
    open_incident: Callable[[], Told],
    communication: Communication,
    *,
    every: timedelta,
    clock: Callable[[], datetime],
) -> Iterator[None]:
    """A thread beside the step; it ends with it, and nothing that it fails with reaches the step.

    :param open_incident: gives one that no other thread uses: its journal remembers what it has read.
    """
    over = threading.Event()

    def tell() -> None:
        try:
            incident = open_incident()
            declared_at = parse_time(incident.status()["declared_at"])
        except Exception as error:  # the step is what counts
            log.error("Nobody will be told how it goes on: %s", what_failed(error))
            return
        while True:
            now = clock()
            key, due_at = next_period(declared_at, now, every)
            if over.wait((due_at - now).total_seconds()):
                return
            communication.tell(incident, "progress", key)

    thread = threading.Thread(target=copy_context().run, args=(tell,), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
