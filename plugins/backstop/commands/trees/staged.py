"""Between a layout and the journals that outlive it: a swap may be another task than the restore."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.commands.trees.area import RESTORED
from backstop.commands.trees.layout import Layout
from backstop.errors import RestoreError
from backstop.files.exchange import Replacement
from backstop.files.rename import inode
from backstop.model.file_tree import shown, sort_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.trees.area import Area, Journal
    from backstop.commands.trees.layout import Folder


def live_folder(folder: Folder) -> int:
    """The live folder's descriptor; one above the tree's roots is made when it is not there."""
    os.makedirs(folder.base, mode=0o755, exist_ok=True)  # noqa: PTH103 bytes
    return folder.open()


def restored_journal(layout: Layout, number: int, area: Area) -> Journal:
    """Everything is there: what will be exchanged for what.

    :raises RestoreError: something is not; a name without a new file would be taken away.
    """
    staged = []
    for one in layout.placements.values():
        if one.place == number:
            made = inode(area.new, one.name)
            if made is None:
                raise RestoreError(
                    f"{shown(one.path)} was not restored", hint="run again; report it as a bug"
                )
            staged.append(Replacement(one.name, b"", made))
    gone = [Replacement(one.name, b"", None) for one in layout.removals if one.place == number]
    folder = layout.in_place.get(area.live_path.strip(b"/"))
    return replace(
        area.journal,
        state=RESTORED,
        replacements=(*staged, *gone),
        folder=folder.to_line().decode() if folder else "",
        links=layout.has_links,
    )


def layout_of(folders: Sequence[Folder], areas: Sequence[Area], *, elsewhere: bool) -> Layout:
    """The same layout again, whatever the live tree is like by now."""
    layout = Layout(has_links=any(area.journal.links for area in areas))
    for folder in folders:
        layout.number(folder)
    found = [
        (b"" if elsewhere else (folder.path.rstrip(b"/") + b"/" + one.name).strip(b"/"), folder, one.name)
        for folder, area in zip(folders, areas, strict=True)
        for one in area.journal.replacements
        if one.staged is not None
    ]
    for path, folder, name in sorted(found, key=lambda one: sort_key(one[0])):
        layout.add(folder, path, name)
    return layout
