"""Reads many small objects several at a time, and gives what was made of them in the order asked."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Item = TypeVar("Item")
Found = TypeVar("Found")

_READERS = 8
_TOGETHER = 16


def read_ahead(items: Iterable[Item], look: Callable[[Item], Found], *, name: str) -> Iterator[Found]:
    """``look`` at each item, in threads; a bounded number of results waits for whoever takes them.

    :param name: of the threads.
    :raises: what ``look`` raises, at the item's turn.
    """
    with ThreadPoolExecutor(_READERS, thread_name_prefix=name) as pool:
        ahead: deque[Future[list[Found]]] = deque()
        for batch in _batches(items):
            ahead.append(pool.submit(_look_at_all, look, batch))
            if len(ahead) >= 2 * _READERS:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Few items are spread over all readers; of many, some go together: a hand-over costs like a look."""
    left = iter(items)
    for _ in range(4 * _READERS):
        if not (one := list(islice(left, 1))):
            return
        yield one
    while batch := list(islice(left, _TOGETHER)):
        yield batch


def _look_at_all(look: Callable[[Item], Found], batch: list[Item]) -> list[Found]:
    return [look(item) for item in batch]
