"""What a file is like apart from its content: mode, owner, times, extended attributes."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from functools import lru_cache
from typing import TYPE_CHECKING

from backstop.model.file_tree import Entry, EntryKind, Identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.files.content import Content

_NONE = (errno.ENOTSUP, errno.ENODATA, errno.ENOSYS, errno.EPERM, errno.EACCES)


@lru_cache(maxsize=4096)
def owner_name(uid: int) -> str:
    """Empty where this machine has no name for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@lru_cache(maxsize=4096)
def group_name(gid: int) -> str:
    """Empty where this machine has no name for it."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def forget_names() -> None:
    """Accounts may have changed since the last look: call before each walk."""
    owner_name.cache_clear()
    group_name.cache_clear()


def entry_of(
    path: bytes,
    kind: EntryKind,
    status: os.stat_result,
    where: int | bytes,
    *,
    link_target: bytes = b"",
    hard_link: bytes = b"",
    content: Content | None = None,
) -> Entry:
    """One line of a list.

    :param content: of a file that was read.
    :param where: an open file or a path, to ask for extended attributes; a link is not followed.
    """
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        owner=owner_name(status.st_uid),
        group=group_name(status.st_gid),
        mtime_ns=status.st_mtime_ns,
        size_bytes=_size(kind, status, content),
        chunks=content.chunks if content is not None else (),
        xattrs=tuple(_xattrs(where)),
        link_target=link_target,
        hard_link=hard_link,
        identity=(
            Identity(status.st_ctime_ns, status.st_ino, status.st_dev)
            if content is None or content.settled
            else None
        ),
        skewed=content is not None and content.skewed,
    )


def _size(kind: EntryKind, status: os.stat_result, content: Content | None) -> int:
    if content is not None:
        return content.size_bytes
    return status.st_size if kind is EntryKind.FILE else 0


def _xattrs(where: int | bytes) -> Iterator[tuple[str, bytes]]:
    follow = isinstance(where, int)
    try:
        names = os.listxattr(where, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NONE:
            return
        raise
    for name in sorted(names):
        try:
            yield name, os.getxattr(where, name, follow_symlinks=follow)
        except OSError as error:
            # It went meanwhile, or is for the system alone.
            if error.errno not in _NONE:
                raise
