"""One part of a watch, given up when it takes too long: a server that hangs must not hide the others."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

log = logging.getLogger(__name__)


def within(
    look: Callable[[], Part], *, seconds: float, what: str, spares: Collection[tuple[str, str]]
) -> Part:
    """What ``look`` brings back, or, when it does not come back in time or fails, that it was not seen.

    A look that is given up goes on in a thread that the process does not wait for: what hangs in there is a
    call into a library, which nothing can interrupt.

    :param what: is looked at, for people: ``the replication slot of calibrify``.
    :param spares: (check, subject) that cannot be judged without it.
    """
    found: list[Part] = []
    wrong: list[BaseException] = []

    def run() -> None:
        try:
            found.append(look())
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=run, name=f"look at {what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if found:
        return found[0]
    why = f"it took more than {seconds:.0f} s"
    if wrong:
        log.error("looking at %s failed", what, exc_info=wrong[0])
        why = type(wrong[0]).__name__
    return Part(unseen=(f"{what} was not looked at: {why}",), unjudged=frozenset(spares))
