"""Calls into somebody else's code that may never return."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def bounded(call: Callable[[], None], seconds: float, *, name: str = "notifier") -> None:
    """A library that hangs cannot be interrupted; it is left behind in a thread nobody waits for.

    :raises TimeoutError: it did not end in time. Whatever else it raises is raised.
    """
    ended = threading.Event()
    wrong: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            context.run(call)
        except BaseException as error:
            wrong.append(error)
        ended.set()

    threading.Thread(target=run, name=name, daemon=True).start()
    if not ended.wait(seconds):
        raise TimeoutError(f"it did not end within {seconds:.0f} s")
    if wrong:
        raise wrong[0]
