"""``renameat2``: two names exchanged in one step, and a rename that replaces nothing (rename(2))."""

from __future__ import annotations

import ctypes
import errno
import os

_NOREPLACE, _EXCHANGE = 1, 2
# What kernels, file systems and the C library say when they do not know it.
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def exchanged(one: int, one_name: bytes, other: int, other_name: bytes) -> bool:
    """Exchange two names, below two open folders, in one step. False where that cannot be done: nothing was.

    :raises OSError: it can be done, and failed.
    """
    return _renameat2(one, one_name, other, other_name, _EXCHANGE)


def move(source: int, name: bytes, destination: int, new_name: bytes) -> None:
    """Rename; what has the new name already is never replaced.

    :raises FileExistsError: the name is taken.
    """
    if _renameat2(source, name, destination, new_name, _NOREPLACE):
        return
    if exists(destination, new_name):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(new_name))
    os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=destination)


def exists(folder: int, name: bytes) -> bool:
    """Whether the name is taken, by whatever."""
    return inode(folder, name) is not None


def inode(folder: int, name: bytes) -> tuple[int, int] | None:
    """Device and inode of what has the name: the same file under any name."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def flush(folder: int) -> None:
    """All that was written to the file system of an open folder is durable behind this (syncfs(2))."""
    try:
        function = ctypes.CDLL(None, use_errno=True).syncfs
    except AttributeError:
        os.sync()
        return
    if function(folder) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _renameat2(source: int, name: bytes, destination: int, new_name: bytes, flags: int) -> bool:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if function(source, name, destination, new_name, ctypes.c_uint(flags)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), os.fsdecode(name), None, os.fsdecode(new_name))
