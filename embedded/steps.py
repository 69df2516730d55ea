"""Says what is being done and how long it took."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator


class Step:
    """One line of output; ``result`` is what it ends with."""

    result = ""


class Steps:
    """A line a step: what, result, seconds."""

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self._started = time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        started = time.monotonic()
        live = self._output.isatty()
        if live:
            self._write(f"  {what} …")
        step = Step()
        try:
            yield step
        except BaseException:
            self._write(f"{_redraw(live)}✗ {what}\n")
            raise
        self._write(f"{_redraw(live)}✓ {what:<34} {time.monotonic() - started:5.1f} s  {step.result}\n")

    def note(self, text: str) -> None:
        self._write(f"  {text}\n")

    def seconds(self) -> float:
        """Since the first step could have begun."""
        return time.monotonic() - self._started

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


def _redraw(live: bool) -> str:
    return "\r\x1b[2K" if live else ""
