"""Removes a folder with all that is in it, also folders that their own mode keeps us out of."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass

from backstop.files.directories import BELOW, FOLDER


def remove_tree(path: bytes, *, ignore_errors: bool = False) -> None:
    """Remove a folder of our own, however deep; what is not there is no error.

    :param ignore_errors: what cannot be removed stays, and the rest goes.
    :raises OSError: something in it cannot be removed, or it is a symbolic link or no folder.
    """
    above, name = os.path.split(os.fsdecode(path).rstrip("/"))
    ignored = OSError if ignore_errors else FileNotFoundError
    with contextlib.suppress(ignored):
        parent = os.open(above or ".", FOLDER)
        try:
            _clear(_opened(name, parent), ignored)
            os.rmdir(name, dir_fd=parent)
        finally:
            os.close(parent)


@dataclass(slots=True)
class _Level:
    """A folder on the way down. :param folders: names of those in it that are still to go."""

    name: str
    identity: tuple[int, int]
    folders: list[str]


def _clear(descriptor: int, ignored: type[OSError]) -> None:
    """Remove what is below an open folder, and close it.

    By loops, with two folders open at most: none is too deep, for Python or for the system.
    """
    try:
        way = [_level("", descriptor, ignored)]
        while way[-1].folders or len(way) > 1:
            if way[-1].folders:
                name = way[-1].folders.pop()
                with contextlib.suppress(ignored):
                    below = _opened(name, descriptor)
                    try:
                        way.append(_level(name, below, ignored))
                    except BaseException:
                        os.close(below)
                        raise
                    os.close(descriptor)
                    descriptor = below
            else:
                above = os.open("..", FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = above
                name = way.pop().name
                # Whoever moves a folder while it is emptied must not lead us anywhere else.
                if _identity(descriptor) != way[-1].identity:
                    raise OSError(errno.ESTALE, "moved while it was removed", name)
                with contextlib.suppress(ignored):
                    os.rmdir(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _level(name: str, descriptor: int, ignored: type[OSError]) -> _Level:
    """The folder without its files."""
    folders = []
    with os.scandir(descriptor) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        else:
            with contextlib.suppress(ignored):
                os.unlink(entry.name, dir_fd=descriptor)
    return _Level(name, _identity(descriptor), folders)


def _opened(name: str, above: int) -> int:
    if os.geteuid() != 0 and stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        os.chmod(name, 0o700, dir_fd=above)
    return os.open(name, BELOW, dir_fd=above)


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
