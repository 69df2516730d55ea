"""Writes the list of a tree's files in segments; one that the backup before has is not stored again."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backstop.commands.trees.packs import PackWriter
    from backstop.model.file_tree import Entry

_MOST_LINES = 8192
_CUT = 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of lines of the list. :param pack: which holds it, as a piece."""

    sha256: str
    pack: str
    size_bytes: int
    entries: int


@dataclass(slots=True)
class ListWriter:
    """Takes entries in order.

    :param known: segments that are stored already, by SHA-256.
    """

    packs: PackWriter
    known: Mapping[str, Segment]
    segments: list[Segment] = field(default_factory=list)
    entries: int = 0
    used: set[str] = field(default_factory=set)
    """Names of the packs that the list needs, its own among them."""
    _lines: list[bytes] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.add_line(entry.path, entry.to_line(), [chunk.pack for chunk in entry.chunks])

    def add_line(self, path: bytes, line: bytes, packs: Iterable[str]) -> None:
        """The same, written already. :param packs: that hold its pieces."""
        self._lines.append(line)
        self.used.update(packs)
        # By the path alone, so that the cuts stay where they are when lines come and go.
        if zlib.crc32(path) % _CUT == 0 or len(self._lines) == _MOST_LINES:
            self._cut()

    def finish(self) -> None:
        if self._lines:
            self._cut()

    def _cut(self) -> None:
        content = b"".join(self._lines)
        sha256 = hashlib.sha256(content).hexdigest()
        segment = self.known.get(sha256)
        if segment is None:
            segment = Segment(sha256, self.packs.add(sha256, content), len(content), len(self._lines))
        self.segments.append(segment)
        self.used.add(segment.pack)
        self.entries += len(self._lines)
        self._lines.clear()
