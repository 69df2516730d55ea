"""Progress of a command as lines in the task's log."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

EVERY_SECONDS = 10.0


class LoggedProgress:
    """Logs the beginning and end of each phase, and how far it is every ten seconds. Thread-safe.

    :param clock: seconds that never go back.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._phase = ""
        self._done = 0
        self._total: int | None = None
        self._began = self._said = clock()

    def phase(self, name: str, *, total_bytes: int | None = None) -> None:
        with self._lock:
            self._finish()
            self._phase, self._done, self._total = name, 0, total_bytes
            self._began = self._said = self._clock()
            self._log.info("%s …", name)

    def advance(self, done_bytes: int) -> None:
        with self._lock:
            self._done += done_bytes
            now = self._clock()
            if now - self._said >= EVERY_SECONDS:
                self._said = now
                self._log.info("%s: %s", self._phase, self._amount(now - self._began))

    def finish(self) -> None:
        """The last phase is over."""
        with self._lock:
            self._finish()
            self._phase = ""

    def _finish(self) -> None:
        if self._phase:
            seconds = self._clock() - self._began
            self._log.info("%-8s took %.1f s (%s)", self._phase, seconds, self._amount(seconds))

    def _amount(self, seconds: float) -> str:
        done = f"{self._done / 1e6:.1f} MB"
        of = f" of {self._total / 1e6:.1f} MB" if self._total else ""
        left = (self._total or 0) - self._done
        # As fast as so far.
        eta = f", some {left * seconds / self._done:.0f} s left" if left > 0 and self._done else ""
        return f"{done}{of}, {self._done / 1e6 / max(seconds, 0.001):.0f} MB/s{eta}"
