"""What could stop a restore of files, looked for before anything is written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError, NotFoundError, RestoreError
from backstop.files.covering import covered_by
from backstop.model.file_tree import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backstop.commands.trees.layout import Folder
    from backstop.commands.trees.selection import Selection

_BLOCK_BYTES = 4096
"""What a small file takes, at least."""


def refuse_foreign_roots(selection: Selection, patterns: Sequence[str]) -> None:
    """A list may name any path; in place, only the tree's own are written to.

    :raises ConfigurationError: it names another.
    """
    foreign = [root for root in selection.roots if not covered_by(b"/" + root, patterns)]
    if foreign:
        raise ConfigurationError(
            f"the backup holds {shown(foreign[0])}, which is none of the tree's paths: {', '.join(patterns)}",
            hint="restore to another place, or add the path to the tree in targets.yaml",
        )


def refuse_absent(selection: Selection, label: str, *, found: bool) -> None:
    """:param found: whether anything is selected.

    :raises NotFoundError: the backup has not what was asked for.
    """
    absent = selection.absent()
    if absent or not found:
        names = ", ".join((absent or selection.only)[:5]) or "a single file"
        raise NotFoundError(
            f"backup {label} does not hold {names}", hint="see what it holds, or choose another backup"
        )


def refuse_unwritable(folders: Iterable[Folder]) -> list[str]:
    """:returns: warnings: folders that are not there and will be made.

    :raises RestoreError: names cannot be exchanged in some; all are named.
    """
    refused, made = [], []
    for folder in folders:
        there = existing(folder.path)
        if not os.access(there, os.W_OK | os.X_OK):
            refused.append(shown(folder.path.strip(b"/")))
        elif there != folder.path:
            made.append(f"{shown(folder.path.strip(b'/'))} is not there and will be made")
    if refused:
        raise RestoreError(
            f"this user may not write to {', '.join(refused[:5])}",
            hint="restore as the user that owns it, or to another place",
        )
    return made


def warn_of_left_out(exclude: Sequence[str]) -> list[str]:
    """What goes with a folder that is replaced, and is in no backup, because the tree leaves it out."""
    if not exclude:
        return []
    return [
        f"deletes may be what the tree leaves out ({', '.join(exclude)}): it stays in the folder that is kept"
    ]


def refuse_full(
    folders: Sequence[Folder], need_bytes: Mapping[int, int], need_names: Mapping[int, int]
) -> None:
    """:raises RestoreError: a file system has too little room for a second copy."""
    wanted: dict[int, tuple[bytes, int, int]] = {}
    for place, folder in enumerate(folders):
        there = existing(folder.path)
        device = os.stat(there).st_dev  # noqa: PTH116 bytes
        _, size_bytes, names = wanted.get(device, (there, 0, 0))
        names += need_names.get(place, 0)
        size_bytes += need_bytes.get(place, 0) + need_names.get(place, 0) * _BLOCK_BYTES // 2
        wanted[device] = (there, size_bytes, names)
    for there, size_bytes, names in wanted.values():
        refuse_without_room(there, size_bytes, names)


def refuse_without_room(there: bytes, size_bytes: int, names: int = 0) -> None:
    """:raises RestoreError: the file system of this folder has too little room."""
    space = os.statvfs(there)
    free_bytes = space.f_bavail * space.f_frsize
    if size_bytes > free_bytes:
        raise RestoreError(
            f"{shown(there.strip(b'/'))} has {free_bytes} bytes free, and the restore takes {size_bytes}",
            hint="free space, or restore to another place, or fewer files",
        )
    # Some file systems make room for names as they come, and say 0.
    if space.f_files and names > space.f_favail:
        raise RestoreError(
            f"{shown(there.strip(b'/'))} has room for {space.f_favail} files, and the restore makes {names}",
            hint="free space, or restore to another place, or fewer files",
        )


def existing(path: bytes) -> bytes:
    """The folder, or the nearest one above that is there."""
    while not os.path.isdir(path):  # noqa: PTH112 bytes
        path = os.path.dirname(path)  # noqa: PTH120 bytes
    return path
