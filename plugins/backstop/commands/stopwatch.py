"""How long each phase took, by the monotonic clock."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stopwatch:
    """Measures named phases; a phase entered twice adds up."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._phases: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._phases[name] = self._phases.get(name, 0.0) + time.monotonic() - started

    def seconds(self) -> dict[str, float]:
        """Seconds by phase, and ``total`` since the watch was made."""
        phases = {name: round(seconds, 3) for name, seconds in self._phases.items()}
        return {**phases, "total": round(time.monotonic() - self._started, 3)}
