"""What a restore in place would change: the list of files beside a walk of what is there now."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.files.metadata import differing
from backstop.files.roots import kind_of
from backstop.files.walk import walk
from backstop.model.file_tree import Entry, EntryKind, shown, sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.commands.trees.layout import Layout, Placement
    from backstop.files.ownership import Ownership

SAMPLES = 50


@dataclass(slots=True)
class Changes:
    """Counts, and the first of each: ``adds /srv/a``, ``changes /srv/b (mode 0644 instead of 0600)``."""

    adds: int = 0
    changes: int = 0
    deletes: int = 0
    files: int = 0
    plain_bytes: int = 0
    packs: set[str] = field(default_factory=set)
    """Names of what has to be fetched."""
    need_bytes: dict[int, int] = field(default_factory=dict)
    """By place, what will be written there."""
    need_names: dict[int, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    _named: dict[str, int] = field(default_factory=dict)

    def wanted(self, placement: Placement, entry: Entry) -> None:
        """Of every entry that is restored."""
        size_bytes = sum(chunk.size_bytes for chunk in entry.chunks)
        self.files += entry.kind is EntryKind.FILE
        self.plain_bytes += size_bytes
        self.packs.update(chunk.pack for chunk in entry.chunks)
        self.need_bytes[placement.place] = self.need_bytes.get(placement.place, 0) + size_bytes
        self.need_names[placement.place] = self.need_names.get(placement.place, 0) + 1

    def note(self, what: str, path: bytes, why: str = "") -> None:
        """:param what: ``adds``, ``changes`` or ``deletes``."""
        setattr(self, what, getattr(self, what) + 1)
        self._named[what] = self._named.get(what, 0) + 1
        if self._named[what] <= SAMPLES:
            self.samples.append(f"{what} {shown(path)}" + (f" ({why})" if why else ""))


def compare_live(
    changes: Changes, entries: Iterator[tuple[Placement, Entry]], layout: Layout, owner: Ownership
) -> None:
    """Merge the list with the live tree.

    As rsync does by default, it looks at metadata alone: a file whose content changed under the same size
    and mtime is restored, but not counted as a change.
    """
    live = _live(layout)
    found = next(live, None)
    for placement, entry in entries:
        changes.wanted(placement, entry)
        key = entry.sort_key
        while found is not None and sort_key(found[0]) < key:
            changes.note("deletes", found[0])
            found = next(live, None)
        if found is None or found[0] != entry.path:
            changes.note("adds", entry.path)
            continue
        why = _difference(found[0], found[1], entry, owner)
        if why:
            changes.note("changes", entry.path, why)
        found = next(live, None)
    while found is not None:
        changes.note("deletes", found[0])
        found = next(live, None)
    for removal in layout.removals:
        for path, _ in walk(removal.path):
            changes.note("deletes", path)


def _live(layout: Layout) -> Iterator[tuple[bytes, os.stat_result]]:
    for placement in layout.placements.values():
        if placement.path:  # else it is a new folder, with nothing there to compare
            yield from walk(placement.path)


def _difference(path: bytes, found: os.stat_result, entry: Entry, owner: Ownership) -> str:
    kind = kind_of(found.st_mode)
    if kind is not entry.kind:
        return f"{kind.value if kind else 'device or socket'} instead of {entry.kind.value}"
    if entry.kind is EntryKind.SYMLINK and os.readlink(b"/" + path) != entry.link_target:  # noqa: PTH115 bytes
        return "leads elsewhere"
    if entry.hard_link:
        # Its size is told of its first name alone.
        return "" if stat.S_ISREG(found.st_mode) else "no file"
    return ", ".join(differing(found, entry, owner=owner))
