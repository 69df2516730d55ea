"""What a backup of a tree found, in figures and in the first few names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.file_tree import EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.model.file_tree import Entry

_NAMED_CHANGES = 50
_NAMED = 1000


@dataclass(slots=True)
class Tally:
    """Adds up. A folder counts as changed only when its mode, owner or attributes are others."""

    files: int = 0
    bytes: int = 0
    new_files: int = 0
    changed_files: int = 0
    removed_files: int = 0
    changes: list[str] = field(default_factory=list)
    skewed: Named = field(default_factory=lambda: Named())
    not_included: Named = field(default_factory=lambda: Named())
    gone: Named = field(default_factory=lambda: Named())
    late: Named = field(default_factory=lambda: Named())
    """What came too late for this backup."""

    def add(self, entry: Entry, previous: Entry | None) -> None:
        """An entry of the new list. :param previous: of the same path in the old one."""
        is_folder = entry.kind is EntryKind.DIRECTORY
        if entry.kind is EntryKind.FILE:
            self.files += 1
            self.bytes += 0 if entry.hard_link else entry.size_bytes
        if entry.skewed:
            self.skewed.add(shown(entry.path))
        if previous is None:
            self.new_files += not is_folder
            self._change("added", entry)
        elif _differs(entry, previous):
            self.changed_files += not is_folder
            self._change("changed", entry)

    def keep(self, size_bytes: int, *, is_file: bool, hard_link: bool) -> None:
        """An entry of both lists, the same in both."""
        self.files += is_file
        self.bytes += 0 if hard_link else size_bytes

    def remove(self, entry: Entry) -> None:
        """An entry of the old list that the new one has not."""
        self.removed_files += entry.kind is not EntryKind.DIRECTORY
        self._change("removed", entry)

    def _change(self, what: str, entry: Entry) -> None:
        if len(self.changes) < _NAMED_CHANGES:
            self.changes.append(f"{what} {shown(entry.path)}")


@dataclass(slots=True)
class Named:
    """So many, of which the first are named."""

    count: int = 0
    _names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self._names.append(name)

    def all(self) -> tuple[str, ...]:
        more = self.count - len(self._names)
        return (*self._names, *([f"and {more} more"] if more else []))

    def first(self, most: int = 5) -> str:
        """For one sentence."""
        return ", ".join(self._names[:most]) + (", …" if self.count > most else "")


def _differs(entry: Entry, previous: Entry) -> bool:
    """Whether anything but times and places is another."""

    def content(one: Entry) -> Sequence[tuple[int, str]]:
        return [(chunk.offset, chunk.sha256) for chunk in one.chunks]

    def rest(one: Entry) -> tuple[object, ...]:
        owner = one.uid, one.gid, one.owner, one.group
        return one.kind, one.mode, owner, one.size_bytes, one.xattrs, one.link_target, one.hard_link

    return rest(entry) != rest(previous) or content(entry) != content(previous)
