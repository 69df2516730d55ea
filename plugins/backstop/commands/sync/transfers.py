"""Copies objects into one repository, a few at a time, each from whoever gives a good one."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.object_copy import fetch_checked, look, store
from backstop.errors import (
    BackstopError,
    IntegrityError,
    ObjectConflictError,
    ObjectMissingError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path

    from backstop.commands.object_copy import ObjectToCopy
    from backstop.repository.catalog import Repository
    from backstop.storage.base import ObjectInfo

_QUEUED_FOR_EACH = 2
_MOST_NOTES = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One object that should be in the destination.

    :param offers: who has it, the preferred one first, and what it is there.
    :param present: something has the key already: compared, not copied.
    :param by_content: its name says what it holds: a name that is taken is success.
    """

    key: str
    offers: tuple[tuple[Repository, ObjectToCopy], ...]
    present: bool = False
    by_content: bool = False


@dataclass(slots=True)
class Transferred:
    """What became of some items.

    :param version_ids: of everything that is there now, by key.
    :param failures: of what no repository could give, by key.
    """

    version_ids: dict[str, str | None] = field(default_factory=dict)
    failures: dict[str, BackstopError] = field(default_factory=dict)
    copied: int = 0
    copied_bytes: int = 0
    recognised: int = 0


class Transfers:
    """Into one destination, from whichever source works.

    A source that does not answer is not asked again by this run; one that gives a damaged object still serves
    the others. Both are said in :attr:`notes`.

    :param folder: private, with room for ``at_once`` objects.
    """

    def __init__(
        self, destination: Repository, *, folder: Path, at_once: int, advance: Callable[[int], None]
    ) -> None:
        self._destination = destination
        self._folder = folder
        self._at_once = at_once
        self._advance = advance
        self._silent: dict[str, BackstopError] = {}
        self._lock = threading.Lock()
        self.notes: list[str] = []

    def working(self, sources: Iterable[Repository]) -> list[Repository]:
        """Those that have not stopped answering."""
        return [source for source in sources if source.name not in self._silent]

    def failed(self, source: Repository, what: object, error: BackstopError) -> None:
        """Say that a source could not give something, and leave it out once it does not answer."""
        with self._lock:
            if isinstance(error, StorageUnavailableError):
                self._silent.setdefault(source.name, error)
            if len(self.notes) < _MOST_NOTES:
                self.notes.append(f"{source.name} could not give {what}: {error.message}")

    def run(self, items: Iterable[Item], done: Transferred, *, all_or_nothing: bool) -> None:
        """Copy what is not there.

        :param done: told of every item, whatever happens to a later one.
        :param all_or_nothing: stop at the first item that nobody can give.
        :raises StorageError: the destination fails; what was copied until then stays.
        """
        waiting: deque[tuple[Item, Future[tuple[ObjectInfo | None, int]]]] = deque()
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="copy") as pool:
            try:
                for item in items:
                    if all_or_nothing and done.failures:
                        break
                    if len(waiting) >= self._at_once * _QUEUED_FOR_EACH:
                        self._take(*waiting.popleft(), done)
                    waiting.append((item, pool.submit(self._bring, item)))
                while waiting:
                    self._take(*waiting.popleft(), done)
            except BaseException:
                for _, future in waiting:
                    future.cancel()
                raise

    def _take(self, item: Item, future: Future[tuple[ObjectInfo | None, int]], done: Transferred) -> None:
        try:
            info, copied_bytes = future.result()
        except _NotToBeHadError as error:
            done.failures[item.key] = error.reason
            return
        done.version_ids[item.key] = info.version_id if info else None
        if copied_bytes:
            done.copied += 1
            done.copied_bytes += copied_bytes
        else:
            done.recognised += 1

    def _bring(self, item: Item) -> tuple[ObjectInfo | None, int]:
        """What is there now, and how many bytes had to be copied for it."""
        if item.present and (found := self._compared(item)):
            self._advance(item.offers[0][1].stored_bytes)
            return found, 0
        reason: BackstopError | None = None
        for source, wanted in item.offers:
            if source.name in self._silent:
                reason = reason or self._silent[source.name]
                continue
            staged = self._folder / f"copy-{secrets.token_hex(8)}"
            try:
                fetch_checked(wanted, source=source.storage, into=staged, advance=self._advance)
            except BackstopError as error:
                reason = error
                self.failed(source, item.key, error)
                continue
            try:
                info = store(wanted, staged, destination=self._destination.storage)
            finally:
                staged.unlink(missing_ok=True)
            if info is not None:
                return info, wanted.stored_bytes
            # Somebody was quicker: the archiver of the same WAL, or a run that was taken for dead.
            return (None if item.by_content else self._compared(item)), 0
        raise _NotToBeHadError(reason)

    def _compared(self, item: Item) -> ObjectInfo | None:
        """What lies under the key already, when it is what it must be; None when nothing does."""
        try:
            return look(item.offers[0][1], self._destination.storage)
        except IntegrityError as error:
            raise _NotToBeHadError(
                ObjectConflictError(
                    error.message,
                    hint="no backup there names it: have it removed as an orphan, then sync again",
                )
            ) from error


class _NotToBeHadError(Exception):
    """No repository gives a good copy, or something else has its key. Never the destination's own failure."""

    def __init__(self, reason: BackstopError | None) -> None:
        super().__init__(reason)
        self.reason = reason or ObjectMissingError("no repository has it any more")
