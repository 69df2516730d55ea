"""What came into folders while a tree was walked: a file renamed meanwhile may be met under neither name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backstop.files.exclusion import Exclusion
from backstop.files.roots import Root, kind_of
from backstop.model.file_tree import Entry, sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

_FOLDER = b'"kind":"directory"'


def find_late(
    roots: Sequence[Root],
    lines: Callable[[], Iterable[bytes]],
    *,
    exclude: Sequence[str],
    known: Collection[bytes],
) -> tuple[Root, ...]:
    """What lies in the listed folders now, and is not listed.

    :param lines: gives the list, each time it is called.
    :param known: paths that are not in it for a reason.
    """
    unlisted = _names_in(_changed_folders(lines()))
    if not unlisted:
        return ()
    for line in lines():
        above, _, name = Entry.from_line(line).path.rpartition(b"/")
        unlisted.get(above, set()).discard(name)
    exclusion = Exclusion(exclude)
    late: list[Root] = []
    for folder, names in sorted(unlisted.items(), key=lambda item: sort_key(item[0])):
        for name in sorted(names):
            path = b"%b/%b" % (folder, name)
            root = None if exclusion.covers(path, name) or path in known else _root(path, roots)
            if root is not None:
                late.append(root)
    return tuple(late)


def _changed_folders(lines: Iterable[bytes]) -> list[bytes]:
    """Those whose times are not what they were right before their names were read."""
    changed = []
    for line in lines:
        if _FOLDER not in line:
            continue
        entry = Entry.from_line(line)
        try:
            status = os.lstat(b"/" + entry.path)
        except OSError:
            continue  # renamed itself, which changed the folder around it
        identity = entry.identity
        if identity is None or (identity.inode, identity.device) != (status.st_ino, status.st_dev):
            continue
        if (status.st_mtime_ns, status.st_ctime_ns) != (entry.mtime_ns, identity.ctime_ns):
            changed.append(entry.path)
    return changed


def _names_in(folders: Iterable[bytes]) -> dict[bytes, set[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for folder in folders:
        try:
            found[folder] = set(os.listdir(b"/" + folder))  # noqa: PTH208 bytes
        except OSError:
            continue
    return found


def _root(path: bytes, roots: Sequence[Root]) -> Root | None:
    """None: it has gone again, or is of no kind that is kept."""
    inside = next((root.path for root in roots if path.startswith(root.path + b"/")), b"")
    try:
        kind = kind_of(os.lstat(b"/" + path).st_mode)
    except OSError:
        return None
    return Root("*", path, kind, inside) if kind is not None else None
