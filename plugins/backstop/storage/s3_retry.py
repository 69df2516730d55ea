"""How long a repository in S3 is given to come back: the only place that retries."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from backstop.errors import StorageUnavailableError
from backstop.storage.s3_errors import FAILURES, explain

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Bounds of trying again, in seconds.

    Pauses double from ``first_pause`` to ``longest_pause``, each shortened at random by up to a half, so that
    writers which failed together do not return together. With the defaults a refused connection is given up
    after about 12 s, a stalled one (a minute each time) after three minutes.

    :param attempts: at most so many tries.
    :param total_seconds: no try begins later than this after the first.
    """

    attempts: int = 7
    total_seconds: float = 150.0
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 8.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def run(self, call: Callable[[], T], *, what: str) -> T:
        """The call's result; it is made again while time may heal what it raises.

        :param what: the object and the operation, for messages.
        :raises StorageUnavailableError: patience ran out.
        :raises StorageError: any other failure, at once.
        """
        began = self.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return call()
            except FAILURES as error:
                failure = explain(error, what)
                if not isinstance(failure, StorageUnavailableError):
                    raise failure from error
                seconds = self.monotonic() - began
                if attempt >= self.attempts or seconds >= self.total_seconds:
                    message = f"{failure.message} ({attempt} attempts in {seconds:.0f} s)"
                    raise StorageUnavailableError(message, hint=failure.hint) from error
                self.pause(attempt)

    def pause(self, failures: int) -> None:
        """Wait before the next try, longer after each failure (counted from 1)."""
        longest = min(self.longest_pause_seconds, self.first_pause_seconds * 2 ** (failures - 1))
        self.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
