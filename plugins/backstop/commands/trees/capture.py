"""Reads a file tree into packs and a list: one walk, several files read at a time, everything in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from backstop.commands.trees.listing import packs_of
from backstop.errors import SourceError
from backstop.files.attributes import entry_of
from backstop.files.content import read_file
from backstop.files.scan import Scanned, Skipped, scan
from backstop.files.sorted_walk import skipped_for
from backstop.model.file_tree import Entry, EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from backstop.commands.progress import Progress
    from backstop.commands.trees.backup import TreeBackupSettings
    from backstop.commands.trees.list_writer import ListWriter
    from backstop.commands.trees.pieces import Pieces
    from backstop.commands.trees.previous import Previous
    from backstop.commands.trees.tally import Tally
    from backstop.files.roots import Root

_NO_PACKS: frozenset[bytes] = frozenset()
_MOST_WAITING = 4096
_MOST_OPEN = 64


class _Kept(NamedTuple):
    """As it was listed before."""

    path: bytes
    line: bytes
    size_bytes: int
    is_file: bool
    hard_link: bytes
    packs: Collection[bytes]


class _Waiting(NamedTuple):
    """In the order of the list; a file until it has been read."""

    entry: Entry | Future[Entry | Skipped]
    previous: Entry | None


@dataclass(slots=True)
class TreeCapture:
    """One pass over a tree. :param pause: waits for a file to hold still."""

    roots: Sequence[Root]
    settings: TreeBackupSettings
    previous: Previous | None
    pieces: Pieces
    list_writer: ListWriter
    tally: Tally
    progress: Progress
    pause: Callable[[float], None]
    _stored: frozenset[bytes] = frozenset()
    _used: set[bytes] = field(default_factory=set)
    """Names of packs, as they stand in lines."""
    _waiting: deque[_Waiting | _Kept] = field(default_factory=deque)
    _open: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_MOST_OPEN))
    _without_content: set[bytes] = field(default_factory=set)
    """Files that could not be read: other names of them cannot be kept either."""

    def run(self) -> None:
        """:raises SourceError: something cannot be read, where that is not allowed.

        :raises BackstopError: what was read cannot be stored.
        """
        if self.previous is not None:
            self._stored = frozenset(name.encode() for name in self.previous.packs)
        found = scan(
            self.roots,
            exclude=self.settings.exclude,
            one_file_system=self.settings.one_file_system,
            previous=self.previous.listing.lines() if self.previous else None,
            on_skip=self._skip,
            on_removed=self.tally.remove,
        )
        with ThreadPoolExecutor(self.settings.readers, thread_name_prefix="read") as pool:
            try:
                for scanned in found:
                    self._take(scanned, pool)
                    while self._waiting and (len(self._waiting) > _MOST_WAITING or self._is_ready()):
                        self._list(self._waiting.popleft())
                while self._waiting:
                    self._list(self._waiting.popleft())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self.list_writer.used.update([pack.decode() for pack in self._used])
        self.list_writer.finish()

    def _take(self, scanned: Scanned, pool: ThreadPoolExecutor) -> None:
        kept = self._kept(scanned)
        if kept is not None:
            self.progress.advance(kept.size_bytes)
            if self._waiting:
                self._waiting.append(kept)
            else:
                self._keep(kept)
        elif scanned.kind is EntryKind.FILE and not scanned.hard_link:
            self._open.acquire()
            try:
                descriptor = scanned.open()
            except OSError as error:
                self._open.release()
                self._without_content.add(scanned.path)
                self._skip(skipped_for(scanned.path, error))
                return
            reading = pool.submit(self._read, scanned.path, descriptor)
            self._waiting.append(_Waiting(reading, scanned.previous))
        else:
            try:
                self._waiting.append(_Waiting(scanned.entry, scanned.previous))
            except OSError as error:
                self._skip(skipped_for(scanned.path, error))

    def _kept(self, scanned: Scanned) -> _Kept | None:
        """What needs not be looked at further: untouched, and all of it is stored."""
        line = scanned.line
        if line is None or self.previous is None:
            return None
        is_file = scanned.kind is EntryKind.FILE
        packs = packs_of(line) if is_file else _NO_PACKS
        if packs and (self.settings.rehash or not self._stored.issuperset(packs)):
            return None
        return _Kept(scanned.path, line, scanned.size_bytes, is_file, scanned.hard_link, packs)

    def _read(self, path: bytes, descriptor: int) -> Entry | Skipped:
        try:
            content = read_file(descriptor, self.pieces.store, pause=self.pause)
            return entry_of(path, EntryKind.FILE, content.status, descriptor, content=content)
        except OSError as error:
            return skipped_for(path, error)
        finally:
            os.close(descriptor)
            self._open.release()

    def _is_ready(self) -> bool:
        first = self._waiting[0]
        return isinstance(first, _Kept) or not isinstance(first.entry, Future) or first.entry.done()

    def _list(self, waiting: _Waiting | _Kept) -> None:
        if isinstance(waiting, _Kept):
            return self._keep(waiting)
        entry = waiting.entry.result() if isinstance(waiting.entry, Future) else waiting.entry
        if isinstance(entry, Skipped):
            self._without_content.add(entry.path)
            self._skip(entry)
        elif entry.hard_link in self._without_content:
            self._skip(_other_name(entry.path))
        else:
            self.tally.add(entry, waiting.previous)
            self.list_writer.add(entry)

    def _keep(self, kept: _Kept) -> None:
        if kept.hard_link in self._without_content:
            return self._skip(_other_name(kept.path))
        self.tally.keep(kept.size_bytes, is_file=kept.is_file, hard_link=bool(kept.hard_link))
        self._used.update(kept.packs)
        self.list_writer.add_line(kept.path, kept.line, ())

    def _skip(self, skipped: Skipped) -> None:
        if skipped.unreadable and self.settings.unreadable == "fail":
            raise SourceError(
                f"{skipped}: the backup would lack it",
                hint=f"let uid {os.geteuid()} read it, exclude it, or set `unreadable: list` for the tree",
            )
        if skipped.gone:
            self.tally.gone.add(str(skipped))
        else:
            self.tally.not_included.add(str(skipped))


def _other_name(path: bytes) -> Skipped:
    return Skipped(path, "another name of a file that could not be read")
