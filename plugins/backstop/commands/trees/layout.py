"""Where each file of a restore goes: beside what it will replace, on the same file system."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from backstop.errors import RestoreError
from backstop.files.covering import covered_by, live_matches
from backstop.files.directories import FOLDER, Directories
from backstop.files.exclusion import Exclusion, has_magic
from backstop.files.mounts import mounted_below
from backstop.files.names import is_ours
from backstop.files.walk import children
from backstop.model.file_tree import Entry, EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from backstop.commands.trees.selection import Selected, Selection


@dataclass(frozen=True, slots=True)
class Folder:
    """A live folder in which names are exchanged.

    :param base: absolute; links on the way to it are the administrator's, and are followed.
    :param below: the rest of the way, which belongs to the tree: no link is followed there.
    """

    base: bytes
    below: tuple[bytes, ...] = ()

    @property
    def path(self) -> bytes:
        return b"/".join([self.base.rstrip(b"/"), *self.below]) or b"/"

    def to_text(self) -> str:
        """The path, percent-encoded, with ``//`` where the tree begins."""
        return "//".join([quote_from_bytes(self.base), quote_from_bytes(b"/".join(self.below))])

    @classmethod
    def from_text(cls, text: str) -> Folder:
        base, _, below = text.partition("//") if not text.startswith("//") else ("/", "", text[3:])
        return cls(unquote_to_bytes(base), tuple(unquote_to_bytes(below).split(b"/")) if below else ())

    def open(self) -> int:
        """A descriptor. :raises RestoreError: a link lies on the way, or no folder."""
        base = os.open(self.base, FOLDER)
        try:
            with Directories(base) as directories:
                return os.dup(directories.at(self.below))
        finally:
            os.close(base)


@dataclass(frozen=True, slots=True)
class Placement:
    """A name that will be exchanged, and all that lies below it.

    :param path: of its entry; empty where a whole new folder is made.
    :param place: number of the folder it is in; :param name: its name there.
    """

    path: bytes
    place: int
    name: bytes


@dataclass(slots=True)
class Layout:
    """All placements of a restore, in the order of the list of files."""

    folders: list[Folder] = field(default_factory=list)
    placements: dict[bytes, Placement] = field(default_factory=dict)
    in_place: dict[bytes, Entry] = field(default_factory=dict)
    """Mount points, and folders that hold some: what is in them is exchanged, they themselves stay."""
    removals: list[Placement] = field(default_factory=list)
    """Live names that the backup has not."""
    warnings: list[str] = field(default_factory=list)
    has_links: bool = False
    """Whether hard links are among what is restored."""
    _numbers: dict[Folder, int] = field(default_factory=dict)
    _last: Placement | None = None

    def find(self, path: bytes) -> Placement | None:
        """What the entry of that path belongs to; None: it is not restored, or in place."""
        last = self._last  # other threads may set it
        if last is not None and path.startswith(last.path + b"/"):
            return last
        if b"" in self.placements:
            return self.placements[b""]
        end = len(path)
        while end > 0:
            found = self.placements.get(path[:end])
            if found is not None:
                self._last = found
                return found
            end = path.rfind(b"/", 0, end)
        return None

    def parts(self, placement: Placement, path: bytes) -> list[bytes]:
        """The names that lead to an entry from the folder its placement is restored in."""
        rest = path[len(placement.path) :].strip(b"/")
        return [placement.name, *(rest.split(b"/") if rest else ())]

    def placed(self, selection: Selection) -> Iterator[tuple[Placement, Entry]]:
        """The selected entries that are made anew."""
        for one in selection.entries():
            placement = self.find(one.entry.path)
            if placement is not None:
                yield placement, one.entry

    def add(self, folder: Folder, path: bytes, name: bytes) -> None:
        self.placements[path] = Placement(path, self.number(folder), name)

    def remove(self, folder: Folder, path: bytes, name: bytes) -> None:
        self.removals.append(Placement(path, self.number(folder), name))

    def number(self, folder: Folder) -> int:
        """Of the place; a new one when the folder is none yet."""
        if folder not in self._numbers:
            self._numbers[folder] = len(self.folders)
            self.folders.append(folder)
        return self._numbers[folder]


def lay_out_elsewhere(destination: Path) -> Layout:
    """Everything below one new folder, each entry under its whole path."""
    layout = Layout(has_links=True)
    layout.add(Folder(os.fsencode(destination.parent)), b"", os.fsencode(destination.name))
    return layout


def lay_out_in_place(
    selection: Selection, *, patterns: Sequence[str], exclude: Sequence[str], points: frozenset[bytes]
) -> Layout:
    """Beside the live tree. Changes nothing.

    :param patterns: the tree's, as configured now: live files that match, and are not in the backup, go.
    :param points: what is mounted.
    :raises RestoreError: a file or a link is where a folder of the tree should be.
    """
    layout = Layout()
    for one in selection.entries():
        layout.has_links = layout.has_links or bool(one.entry.hard_link)
        if not one.above and layout.find(one.entry.path) is None:
            _place(layout, selection, one, points)
    _remove_from_mounts(layout, selection, points)
    _remove_matches(layout, selection, patterns, exclude, points)
    return layout


def _place(layout: Layout, selection: Selection, one: Selected, points: frozenset[bytes]) -> None:
    """Find the place of an entry that lies in none yet."""
    entry = one.entry
    root = selection.root_of(entry.path)
    path = _topmost_missing(entry.path, root)
    if path == entry.path and entry.kind is EntryKind.DIRECTORY and mounted_below(b"/" + path, points):
        layout.in_place[path] = entry
        return
    if b"/" + path in points:
        raise RestoreError(
            f"{shown(path)} is a mount point, and no folder in the backup",
            hint="unmount it first, or restore to another place",
        )
    layout.add(_folder_of(path, root), path, path.rpartition(b"/")[2])


def _topmost_missing(path: bytes, root: bytes) -> bytes:
    """The first folder on the way from the root to ``path`` that is not there; ``path`` if all are."""
    end = len(root)
    while end < len(path):
        above = path[:end]
        try:
            mode = os.lstat(b"/" + above).st_mode
        except FileNotFoundError:
            return above
        if not stat.S_ISDIR(mode):
            raise RestoreError(
                f"{shown(above)} is no folder now, so nothing can be restored below it alone",
                hint=f"restore {shown(above)} itself, or restore to another place",
            )
        end = path.find(b"/", end + 1)
        end = len(path) if end == -1 else end
    return path


def _folder_of(path: bytes, root: bytes) -> Folder:
    """The folder that the name lies in: below the root step by step, above it as the administrator has it."""
    above = root.rpartition(b"/")[0]
    below = path[len(above) :].strip(b"/").split(b"/")[:-1]
    return Folder(b"/" + above, tuple(below))


def _remove_from_mounts(layout: Layout, selection: Selection, points: frozenset[bytes]) -> None:
    """What lies in a folder that stays, and not in the backup."""
    known = layout.placements.keys() | layout.in_place.keys()
    filled = {path.rpartition(b"/")[0] for path in known}
    for path in layout.in_place:
        if path not in filled:
            # Nothing tells whether the backup left it out or found it empty.
            layout.warnings.append(f"{shown(path)} is left as it is: the backup has nothing in it")
            continue
        for name in children(path):
            below = path + b"/" + name
            if below not in known:
                _remove(layout, selection.root_of(path), below, points)


def _remove_matches(
    layout: Layout,
    selection: Selection,
    patterns: Sequence[str],
    exclude: Sequence[str],
    points: frozenset[bytes],
) -> None:
    """What a glob finds now, and did not when the backup was taken."""
    gone: set[bytes] = set()
    exclusion = Exclusion(exclude)
    # Of a `**` no limits are known: it brings back, and takes nothing away.
    for pattern in (one for one in selection.only or patterns if has_magic(one) and "**" not in one):
        for found in live_matches(pattern):
            path = found.strip(b"/")
            # A glob that was asked for may match much that is none of the tree's.
            name = path.rpartition(b"/")[2]
            left_out = any(exclusion.covers(one, one.rpartition(b"/")[2]) for one in _and_above(path))
            ours = covered_by(found, patterns) and not left_out
            known = layout.find(path) or path in layout.in_place or is_ours(name)
            if ours and not known and not gone.intersection(_and_above(path)):
                gone.add(path)
                _remove(layout, selection.root_of(path) or path, path, points)


def _and_above(path: bytes) -> Iterator[bytes]:
    while path:
        yield path
        path = path.rpartition(b"/")[0]


def _remove(layout: Layout, root: bytes, path: bytes, points: frozenset[bytes]) -> None:
    if mounted_below(b"/" + path, points):
        layout.warnings.append(f"{shown(path)} is left as it is: something is mounted there")
        return
    layout.remove(_folder_of(path, root), path, path.rpartition(b"/")[2])
