"""Reads a file tree into packs and a list: one walk, several files read at a time, everything in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from backstop.errors import SourceError
from backstop.files.attributes import entry_of
from backstop.files.content import read_file
from backstop.files.scan import Scanned, Skipped, scan
from backstop.files.sorted_walk import skipped_for
from backstop.model.file_tree import Entry, EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backstop.commands.progress import Progress
    from backstop.commands.trees.backup import TreeBackupSettings
    from backstop.commands.trees.list_writer import ListWriter
    from backstop.commands.trees.pieces import Pieces
    from backstop.commands.trees.previous import Previous
    from backstop.commands.trees.tally import Tally
    from backstop.files.roots import Root

_MOST_WAITING = 4096
_MOST_OPEN = 64


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
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _open: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_MOST_OPEN))
    _without_content: set[bytes] = field(default_factory=set)
    """Files that could not be read: other names of them cannot be kept either."""

    def run(self) -> None:
        """:raises SourceError: something cannot be read, where that is not allowed.

        :raises BackstopError: what was read cannot be stored.
        """
        found = scan(
            self.roots,
            exclude=self.settings.exclude,
            one_file_system=self.settings.one_file_system,
            previous=self.previous.listing.entries() if self.previous else None,
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
        self.list_writer.finish()

    def _take(self, scanned: Scanned, pool: ThreadPoolExecutor) -> None:
        unchanged = scanned.unchanged
        if unchanged is not None and self._is_stored(unchanged):
            if unchanged.kind is EntryKind.FILE:
                self.progress.advance(unchanged.size_bytes)
            self._waiting.append(_Waiting(unchanged, unchanged))
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

    def _is_stored(self, entry: Entry) -> bool:
        """Whether nothing needs to be read."""
        if self.previous is None or not entry.chunks:
            return True
        packs = self.previous.packs
        return not self.settings.rehash and all(chunk.pack in packs for chunk in entry.chunks)

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
        entry = self._waiting[0].entry
        return not isinstance(entry, Future) or entry.done()

    def _list(self, waiting: _Waiting) -> None:
        entry = waiting.entry.result() if isinstance(waiting.entry, Future) else waiting.entry
        if isinstance(entry, Skipped):
            self._without_content.add(entry.path)
            self._skip(entry)
        elif entry.hard_link in self._without_content:
            self._skip(Skipped(entry.path, "another name of a file that could not be read"))
        else:
            self.tally.add(entry, waiting.previous)
            self.list_writer.add(entry)

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
