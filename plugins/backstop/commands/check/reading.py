"""Goes through the objects of an arc in order, a few at a time, and notes how far it is."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.model.rotation import CIRCLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from backstop.commands.check.journal import Reached
    from backstop.commands.check.reread import Reader
    from backstop.commands.check.settings import CheckSettings
    from backstop.commands.check.wanted import Wanted
    from backstop.commands.progress import Progress
    from backstop.model.rotation import Arc


def read_arc(
    objects: Sequence[Wanted],
    arc: Arc,
    reached: Reached,
    *,
    reader: Reader,
    settings: CheckSettings,
    note: Callable[[Reached], None],
    progress: Progress,
) -> tuple[Reached, int]:
    """Read what is left of them.

    :param objects: in the arc's order; one of them may lie behind its end, where nothing lies before it.
    :returns: what has been found, and where on the circle the next check begins.
    """
    left = [one for one in objects if arc.distance(one.key) >= reached.distance]
    progress.phase("check", total_bytes=sum(one.stored_bytes for one in left))
    end = max(arc.width, arc.distance(left[-1].key) + 1) if left else arc.width
    noted = reached
    for one, problem in _problems(left, reader, jobs=max(1, settings.jobs)):
        reached = reached.further(
            arc.distance(one.key) + 1, stored_bytes=one.stored_bytes, unjudged=not reader.judges(one)
        )
        if problem is not None:
            reached = replace(reached, damaged={**reached.damaged, one.key: problem})
        if _worth_noting(noted, reached, settings):
            note(reached)
            noted = reached
        if len(reached.damaged) >= settings.most_damaged:
            end = reached.distance
            break
    note(reached)
    return reached, (arc.start + end) % CIRCLE


def _worth_noting(noted: Reached, reached: Reached, settings: CheckSettings) -> bool:
    return (
        reached.objects - noted.objects >= settings.note_every
        or reached.stored_bytes - noted.stored_bytes >= settings.note_every_bytes
        or len(reached.damaged) > len(noted.damaged)
    )


def _problems(objects: Sequence[Wanted], reader: Reader, *, jobs: int) -> Iterator[tuple[Wanted, str | None]]:
    """In order; as many again are read ahead."""
    pending: deque[tuple[Wanted, Future[str | None]]] = deque()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="check")
    try:
        for one in objects:
            pending.append((one, pool.submit(reader.judgement, one)))
            if len(pending) >= 2 * jobs:
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
