"""Writes the list of a tree's files in segments; one that the backup before has is not stored again."""

from __future__ import annotations

import hashlib
import heapq
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.file_tree import Entry, sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

    from backstop.commands.trees.packs import PackWriter

_MOST_LINES = 8192
_CUT = 1024
_BUFFERED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of lines of the list. :param pack: which holds it, as a piece."""

    sha256: str
    pack: str
    size_bytes: int
    entries: int


@dataclass(slots=True)
class ListWriter:
    """Takes entries in order, and then some that came to light too late for it.

    :param spool: an empty file to keep lines in until all are known.
    :param known: segments that are stored already, by SHA-256.
    """

    packs: PackWriter
    spool: BinaryIO
    known: Mapping[str, Segment]
    segments: list[Segment] = field(default_factory=list)
    entries: int = 0
    used: set[str] = field(default_factory=set)
    """Names of the packs that the list needs, its own among them."""
    _cuts: list[tuple[int, int]] = field(default_factory=list)
    """Bytes and lines of each segment."""
    _late: list[tuple[tuple[bytes, ...], bytes]] = field(default_factory=list)
    _buffer: list[bytes] = field(default_factory=list)
    """Lines that are not in the spool yet."""
    _buffered: int = 0
    _size: int = 0
    _lines: int = 0

    @property
    def late(self) -> int:
        """How many came too late; memory holds them all."""
        return len(self._late)

    def add(self, entry: Entry) -> None:
        self.add_line(entry.path, entry.to_line(), [chunk.pack for chunk in entry.chunks])

    def add_line(self, path: bytes, line: bytes, packs: Iterable[str]) -> None:
        """The same, written already. :param packs: that hold its pieces."""
        # One call of a file object's for each line would cost more than all the rest.
        self._buffer.append(line)
        self._buffered += len(line)
        if self._buffered >= _BUFFERED_BYTES:
            self._flush()
        self.used.update(packs)
        self._count(path, line)

    def add_late(self, entry: Entry) -> None:
        """One whose place in the order has been passed."""
        self._late.append((entry.sort_key, entry.to_line()))
        self.used.update(chunk.pack for chunk in entry.chunks)

    def lines(self) -> Iterator[bytes]:
        """Those in order; nothing may be added to them any more."""
        self._flush()
        self.spool.seek(0)
        yield from self.spool

    def finish(self) -> None:
        """Store what is not stored. :raises BackstopError: it cannot be stored."""
        self._cut()
        self._flush()
        self.spool.seek(0)
        if self._late:
            return self._merge()
        for size_bytes, lines in self._cuts:
            self._store(self.spool.read(size_bytes), lines)

    def _flush(self) -> None:
        if self._buffer:
            self.spool.write(b"".join(self._buffer))
            self._buffer.clear()
            self._buffered = 0

    def _count(self, path: bytes, line: bytes) -> None:
        self._size += len(line)
        self._lines += 1
        # By the path alone, so that the cuts stay where they are when lines come and go.
        if zlib.crc32(path) % _CUT == 0 or self._lines == _MOST_LINES:
            self._cut()

    def _cut(self) -> None:
        if self._lines:
            self._cuts.append((self._size, self._lines))
            self._size = self._lines = 0

    def _merge(self) -> None:
        """All over again, with those in their places."""
        self._cuts.clear()
        waiting: list[bytes] = []
        for key, line in _without_doubles(heapq.merge(_keyed(self.lines()), sorted(self._late))):
            waiting.append(line)
            self._count(b"/".join(key), line)
            if self._cuts:
                self._store(b"".join(waiting), self._cuts.pop()[1])
                waiting.clear()
        if waiting:
            self._store(b"".join(waiting), len(waiting))

    def _store(self, content: bytes, lines: int) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        segment = self.known.get(sha256)
        if segment is None:
            segment = Segment(sha256, self.packs.add(sha256, content), len(content), lines)
        self.segments.append(segment)
        self.used.add(segment.pack)
        self.entries += lines


def _keyed(lines: Iterable[bytes]) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    for line in lines:
        yield sort_key(Entry.from_line(line).path), line


def _without_doubles(
    lines: Iterable[tuple[tuple[bytes, ...], bytes]],
) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    """Should one have been met twice, it is listed once."""
    last: tuple[bytes, ...] = ()
    for key, line in lines:
        if key != last:
            yield key, line
        last = key
