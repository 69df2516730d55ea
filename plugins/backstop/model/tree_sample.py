"""Which part of a file tree a proof restores. Pure: seed and list decide, so anybody can pick it again."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.file_tree import EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backstop.model.file_tree import Entry

_RANGE = 2**64


@dataclass(frozen=True, slots=True)
class Sample:
    """A random share of a tree.

    Packs are drawn, not files: of many small files a share drawn one by one would need nearly every pack.
    Each file is as likely to be in it as any other.

    :param share: of the packs, and of what has no content; above 0, at most 1, which is everything.
    :param seed: what the draw depends on.
    """

    share: float
    seed: str

    @property
    def whole(self) -> bool:
        return self.share >= 1

    def packs(self, names: Iterable[str]) -> frozenset[str]:
        """The packs that are drawn: so many of a hundred, one at least."""
        ranked = sorted(names, key=self._draw)
        return frozenset(ranked[: max(1, math.ceil(len(ranked) * min(self.share, 1)))])

    def entries(self, listed: Iterable[Entry], packs: frozenset[str]) -> Iterator[Entry]:
        """What is restored, in the list's order: the files that begin in one of these packs, with the folders
        that lead to them; of empty files, links and folders the same share.

        A hard link is in it when the file it is another name of is.
        """
        leading: list[Entry] = []
        drawn: set[bytes] = set()
        for entry in listed:
            while leading and not entry.path.startswith(leading[-1].path + b"/"):
                leading.pop()
            if self.whole or self._has(entry, packs, drawn):
                yield from leading
                leading.clear()
                yield entry
                if not self.whole and entry.kind is EntryKind.FILE and not entry.hard_link:
                    drawn.add(entry.path)
            elif entry.kind is EntryKind.DIRECTORY:
                leading.append(entry)

    def _has(self, entry: Entry, packs: frozenset[str], drawn: set[bytes]) -> bool:
        if entry.hard_link:
            return entry.hard_link in drawn
        if entry.chunks:
            return entry.chunks[0].pack in packs
        return self._draw(entry.path) < self.share * _RANGE

    def _draw(self, name: str | bytes) -> int:
        raw = name if isinstance(name, bytes) else name.encode()
        return int.from_bytes(hashlib.sha256(self.seed.encode() + b"/" + raw).digest()[:8], "big")
