"""Hard links whose first name is not restored, or elsewhere: one of them becomes the file itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.model.file_tree import Entry, EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.commands.trees.layout import Layout, Placement
    from backstop.commands.trees.listing import TreeListing
    from backstop.commands.trees.selection import Selection


def with_content(
    listing: TreeListing, selection: Selection, layout: Layout
) -> Iterator[tuple[Placement, Entry]]:
    """What is restored; each hard link that is left has its first name in the same area.

    :raises IntegrityError: a hard link leads to no file of the list.
    """
    sources: dict[bytes, Entry] = {}
    # All of a tree in one folder: whatever its links lead to is there, or nowhere.
    if layout.has_links and (selection.only or len(layout.folders) > 1):
        alone = {
            entry.hard_link
            for placement, entry in layout.placed(selection)
            if entry.hard_link and not _beside(placement, entry, selection, layout)
        }
        if alone:
            sources = {entry.path: entry for entry in listing.entries() if entry.path in alone}
    first: dict[tuple[int, bytes], bytes] = {}
    for placement, entry in layout.placed(selection):
        if entry.hard_link and not _beside(placement, entry, selection, layout):
            name = first.setdefault((placement.place, entry.hard_link), entry.path)
            entry = _itself(entry, sources) if name == entry.path else replace(entry, hard_link=name)
        yield placement, entry


def _beside(placement: Placement, entry: Entry, selection: Selection, layout: Layout) -> bool:
    other = layout.find(entry.hard_link) if selection.covers(entry.hard_link) else None
    return other is not None and other.place == placement.place


def _itself(entry: Entry, sources: dict[bytes, Entry]) -> Entry:
    if entry.kind is not EntryKind.FILE:
        return replace(entry, hard_link=b"")
    source = sources.get(entry.hard_link)
    if source is None or source.kind is not EntryKind.FILE or source.hard_link:
        raise IntegrityError(
            f"{shown(entry.path)} is a hard link to {shown(entry.hard_link)}, which is no file of the backup",
            hint="choose another backup",
        )
    return replace(
        entry, hard_link=b"", chunks=source.chunks, size_bytes=source.size_bytes, xattrs=source.xattrs
    )
