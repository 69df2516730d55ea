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
from backstop.files.exclusion import has_magic
from backstop.files.scan import Scanned, Skipped, scan
from backstop.files.second_look import find_late
from backstop.files.sorted_walk import skipped_for
from backstop.model.file_tree import Entry, EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from backstop.commands.progress import Progress
    from backstop.commands.trees.list_writer import ListWriter
    from backstop.commands.trees.pieces import Pieces
    from backstop.commands.trees.previous import Previous
    from backstop.commands.trees.settings import TreeBackupSettings
    from backstop.commands.trees.tally import Tally
    from backstop.files.roots import Root

_MOST_WAITING = 4096
_MOST_OPEN = 64
_MOST_LATE = 20_000
_LOOKS_BACK = 3


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
    descriptor: int = -1


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
    _known: set[bytes] = field(default_factory=set)
    """Paths that need not be looked for again, though the first pass did not list them."""
    _gone: dict[bytes, Skipped] = field(default_factory=dict)
    _without_content: set[bytes] = field(default_factory=set)
    """Files that could not be read: other names of them cannot be kept either."""
    _lost_folder: bytes = b""
    """With a ``/`` behind it: what is not listed itself has nothing listed below it."""

    def run(self) -> None:
        """:raises SourceError: something cannot be read, where that is not allowed.

        :raises BackstopError: what was read cannot be stored.
        """
        if self.previous is not None:
            self._stored = frozenset(name.encode() for name in self.previous.packs)
        with ThreadPoolExecutor(self.settings.readers, thread_name_prefix="read") as pool:
            try:
                self._first_pass(pool)
                self._second_pass(pool)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                self._close_unread()
                raise
        for skipped in self._gone.values():
            self.tally.gone.add(str(skipped))
        self.list_writer.used.update([pack.decode() for pack in self._used])
        self.list_writer.finish()

    def _close_unread(self) -> None:
        for one in self._waiting:
            if isinstance(one, _Waiting) and isinstance(one.entry, Future) and one.entry.cancelled():
                os.close(one.descriptor)

    def _first_pass(self, pool: ThreadPoolExecutor) -> None:
        for scanned in scan(
            self.roots,
            exclude=self.settings.exclude,
            one_file_system=self.settings.one_file_system,
            previous=self.previous.listing.lines() if self.previous else None,
            on_skip=self._skip,
            on_removed=self.tally.remove,
        ):
            self._take(scanned, pool)
            while self._waiting and (len(self._waiting) > _MOST_WAITING or self._is_ready()):
                self._list(self._waiting.popleft(), self.list_writer.add)
        while self._waiting:
            self._list(self._waiting.popleft(), self.list_writer.add)

    def _second_pass(self, pool: ThreadPoolExecutor) -> None:
        """What came into folders that had been passed, so that nothing is missed for having been renamed."""
        for _ in range(_LOOKS_BACK):
            late = self._find_late()
            if not late:
                return
            for scanned in scan(
                late,
                exclude=self.settings.exclude,
                one_file_system=self.settings.one_file_system,
                on_skip=self._skip,
            ):
                self._known.add(scanned.path)
                if self.list_writer.late + len(self._waiting) < _MOST_LATE:
                    self._gone.pop(scanned.path, None)
                    self._take(scanned, pool)
                else:
                    self.tally.late.add(shown(scanned.path))
            while self._waiting:
                self._list(self._waiting.popleft(), self.list_writer.add_late)
        for root in self._find_late():
            self.tally.late.add(shown(root.path))

    def _find_late(self) -> tuple[Root, ...]:
        return find_late(self.roots, self.list_writer.lines, exclude=self.settings.exclude, known=self._known)

    def _take(self, scanned: Scanned, pool: ThreadPoolExecutor) -> None:
        if self._lost_folder and scanned.path.startswith(self._lost_folder):
            return self._pass_by(scanned)
        kept = self._kept(scanned) if scanned.line is not None else None
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
                self._lose(skipped_for(scanned.path, error), scanned.previous)
                return
            reading = pool.submit(self._read, scanned.path, descriptor)
            self._waiting.append(_Waiting(reading, scanned.previous, descriptor))
        else:
            try:
                self._waiting.append(_Waiting(scanned.entry, scanned.previous))
            except OSError as error:
                if scanned.kind is EntryKind.DIRECTORY:
                    self._lost_folder = scanned.path + b"/"
                self._lose(skipped_for(scanned.path, error), scanned.previous)

    def _pass_by(self, scanned: Scanned) -> None:
        self._without_content.add(scanned.path)
        if scanned.previous is not None:
            self.tally.remove(scanned.previous)

    def _kept(self, scanned: Scanned) -> _Kept | None:
        """What needs not be looked at further: untouched, and all of it is stored."""
        line = scanned.line
        if line is None or self.previous is None:
            return None
        is_file = scanned.kind is EntryKind.FILE
        packs = packs_of(line) if is_file else ()
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

    def _list(self, waiting: _Waiting | _Kept, add: Callable[[Entry], None]) -> None:
        if isinstance(waiting, _Kept):
            return self._keep(waiting)
        entry = waiting.entry.result() if isinstance(waiting.entry, Future) else waiting.entry
        if isinstance(entry, Entry) and entry.hard_link in self._without_content:
            entry = _other_name(entry.path)
        if isinstance(entry, Skipped):
            return self._lose(entry, waiting.previous)
        self.tally.add(entry, waiting.previous)
        add(entry)

    def _lose(self, skipped: Skipped, previous: Entry | None) -> None:
        """It was met, and is not listed all the same."""
        self._without_content.add(skipped.path)
        if previous is not None:
            self.tally.remove(previous)
        self._skip(skipped)

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
            self._refuse_without(skipped.path)
            self._gone[skipped.path] = skipped
        elif skipped.path not in self._known:
            self._known.add(skipped.path)
            self.tally.not_included.add(str(skipped))

    def _refuse_without(self, path: bytes) -> None:
        for root in self.roots:
            if root.path == path and not has_magic(root.pattern):
                raise SourceError(
                    f"{shown(path)} went away while it was backed up",
                    hint="see that it stays mounted, then back up again",
                )


def _other_name(path: bytes) -> Skipped:
    return Skipped(path, "another name of a file that could not be read")
