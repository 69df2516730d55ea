"""Makes the files of a restore in its areas: folders first, content pack by pack, folders' metadata last."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.trees.needs import Needs
from backstop.errors import IntegrityError
from backstop.files.directories import Directories
from backstop.files.place import Placer, make
from backstop.model.file_tree import Entry, EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from backstop.commands.trees.area import Area
    from backstop.commands.trees.fetch import ChunkFetcher
    from backstop.commands.trees.layout import Layout, Placement
    from backstop.commands.trees.needs import Need
    from backstop.files.ownership import Ownership
    from backstop.files.shortfalls import Shortfalls

_LINK, _FILE, _FOLDER = "link", "file", "folder"


@dataclass(slots=True)
class Assembly:
    """One restore's files on their way into new folders.

    :param areas: by the number of the place.
    :param roots: where the list begins; the folders above them are made, and belong to us.
    """

    layout: Layout
    areas: Sequence[Area]
    roots: frozenset[bytes]
    owner: Ownership
    shortfalls: Shortfalls
    files: int = 0
    names: int = 0
    """Everything that was made, folders above the roots included."""
    plain_bytes: int = 0

    def run(self, entries: Iterator[tuple[Placement, Entry]], *, fetcher: ChunkFetcher, index: Path) -> None:
        """Make all of them.

        :param entries: in the order of the list; a hard link's first name is in the same area.
        :param index: a new file in a private folder; removed at the end.
        :raises IntegrityError: the backup is damaged, or is not what Backstop writes.
        """
        needs = Needs(index)
        try:
            with contextlib.closing(_Hands(self)) as hands:
                for placement, entry in entries:
                    hands.begin(placement, entry, needs)
                    self.names += 1
                    self.files += entry.kind is EntryKind.FILE
                    self.plain_bytes += sum(chunk.size_bytes for chunk in entry.chunks)
            needs.done()
            fetcher.fetch(needs, lambda: _Hands(self))
            self._finish(needs)
        finally:
            needs.close()
            index.unlink(missing_ok=True)

    def _finish(self, needs: Needs) -> None:
        with contextlib.closing(_Hands(self)) as hands:
            for place, entry in needs.to_finish(_FILE):
                hands.placers[place].finish_file(self.parts(entry.path), entry)
            # Before any folder gets a mode that might keep us out.
            for place, entry in needs.to_finish(_LINK):
                hands.link(place, entry)
            for place, entry in needs.to_finish(_FOLDER, backwards=True):
                hands.placers[place].finish_directory(self.parts(entry.path), entry)

    def parts(self, path: bytes) -> list[bytes]:
        """Names that lead to an entry from its area's ``new/``.

        :raises IntegrityError: it is not restored.
        """
        placement = self.layout.find(path)
        if placement is None:
            raise IntegrityError(f"the backup lacks {shown(path)}", hint="choose another backup")
        return self.layout.parts(placement, path)


class _Hands:
    """One thread's, in every area."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self.placers = [
            Placer(area.new, owner=assembly.owner, shortfalls=assembly.shortfalls) for area in assembly.areas
        ]

    def close(self) -> None:
        for placer in self.placers:
            placer.close()

    def begin(self, placement: Placement, entry: Entry, needs: Needs) -> None:
        """Make what needs no content, note down what does."""
        placer = self.placers[placement.place]
        parts = self._assembly.layout.parts(placement, entry.path)
        if entry.path in self._assembly.roots:
            # The folder around it may be left out, or above all that is listed.
            self._assembly.names += _make_parents(placer, parts)
        if entry.hard_link:
            needs.later(_LINK, entry, placement.place)
        elif make(placer, parts, entry):
            pass
        elif entry.kind is EntryKind.DIRECTORY:
            needs.later(_FOLDER, entry, placement.place)
        else:
            if len(entry.chunks) > 1:
                placer.begin_file(parts, entry)
                needs.later(_FILE, entry, placement.place)
            needs.pieces(entry, placement.place)

    def take(self, need: Need, content: memoryview) -> None:
        placer, parts = self.placers[need.place], self._assembly.parts(need.entry.path)
        if need.whole:
            placer.whole_file(parts, need.entry, need.offset, content)
        else:
            placer.piece(parts, need.offset, content)

    def link(self, place: int, entry: Entry) -> None:
        area = self._assembly.areas[place]
        source = self._assembly.parts(entry.hard_link)
        with Directories(area.new) as folders:
            try:
                folder = folders.at(source[:-1])
            except FileNotFoundError:
                folder = area.new
            self.placers[place].hard_link(self._assembly.parts(entry.path), entry, folder, source[-1])


def _make_parents(placer: Placer, parts: Sequence[bytes]) -> int:
    made = 0
    for end in range(1, len(parts)):
        with contextlib.suppress(FileExistsError):
            placer.directory(parts[:end], mode=0o700 if end == 1 else 0o755)
            made += 1
    return made
