"""One part of a watch, given up when it takes too long: a server that hangs must not hide the others."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from backstop.commands.watch.part import Part
from backstop.errors import BackstopError
from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

T = TypeVar("T")
log = logging.getLogger(__name__)


def within(
    look: Callable[[], Part],
    *,
    target: str,
    name: str,
    seconds: float,
    spares: Collection[tuple[str, str]],
) -> Part:
    """What ``look`` brings back, or, when it does not come back in time or fails, a finding that says so.

    A look that is given up goes on in a thread that the process does not wait for: what hangs in there is a
    call into a library, which nothing can interrupt.

    :param name: of what is looked at, the finding's subject: ``archiving``.
    :param spares: (check, subject) that cannot be judged without it.
    """
    found: list[Part] = []
    wrong: list[BaseException] = []

    def run() -> None:
        try:
            found.append(look())
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=run, name=f"look at {name} of {target}", daemon=True)
    thread.start()
    thread.join(seconds)
    if found:
        return found[0]
    why, next_step = f"it took more than {seconds:.0f} s", "see what hangs there: server, network or disk"
    if wrong:
        why, next_step = _explained(wrong[0], target, name)
    said = f"{name} of {target} could not be looked at: {why}"
    return Part(
        findings=(Finding(target, "watch", name, Level.WARNING, said, next_step),),
        unseen=(said,),
        unjudged=frozenset(spares),
    )


def answers_within(calls: Mapping[str, Callable[[], T]], *, seconds: float) -> dict[str, T]:
    """What each of them, all called at once, returns; those that do not return in time are left out.

    Not by a pool of threads: Python waits for those when it ends, and a share whose server has gone holds
    whoever asks it until that comes back.

    :raises BaseException: what one of them raised, once the others have had their time.
    """
    answers: dict[str, T] = {}
    wrong: list[BaseException] = []

    def run(name: str, call: Callable[[], T]) -> None:
        try:
            answers[name] = call()
        except BaseException as error:
            wrong.append(error)

    threads = [
        threading.Thread(target=run, args=(name, call), name=f"ask {name}", daemon=True)
        for name, call in calls.items()
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if wrong:
        raise wrong[0]
    return dict(answers)


def _explained(error: BaseException, target: str, name: str) -> tuple[str, str]:
    """What may be shown of it; what nobody expected may hold anything, and goes to the log alone."""
    if isinstance(error, BackstopError):
        return error.message, error.hint
    log.error("looking at %s of %s failed", name, target, exc_info=error)
    return f"unexpected {type(error).__name__}", "the log of this run of watch_backups says more"
