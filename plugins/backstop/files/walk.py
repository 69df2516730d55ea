"""Walks a live folder in the order of a list of files; reads no content and follows no link."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from backstop.files.names import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSED = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def walk(path: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """``path`` (without its leading ``/``) and all below it, each with its ``lstat``.

    What a restore has put aside is passed over. What vanishes meanwhile, may not be entered, or lies deeper
    than a path can say, has nothing below it.
    """
    try:
        found = os.lstat(b"/" + path)
    except (FileNotFoundError, NotADirectoryError):
        return
    yield path, found
    # A stack instead of a recursion: trees may be deeper than Python's.
    waiting = [_below(path)] if stat.S_ISDIR(found.st_mode) else []
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            continue
        child = waiting[-1].pop()
        try:
            found = os.lstat(b"/" + child)
        except OSError as error:
            if error.errno not in _PASSED:
                raise
            continue
        yield child, found
        if stat.S_ISDIR(found.st_mode):
            waiting.append(_below(child))


def children(path: bytes) -> list[bytes]:
    """Names in the folder, in order, without what a restore has put there; none if it cannot be read."""
    try:
        with os.scandir(b"/" + path) as found:
            return sorted(one.name for one in found if not is_ours(one.name))
    except OSError as error:
        if error.errno not in (*_PASSED, errno.EACCES):
            raise
        return []


def _below(path: bytes) -> list[bytes]:
    """The last one first."""
    return [path + b"/" + name for name in reversed(children(path))]
