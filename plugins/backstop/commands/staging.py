"""A private folder of one run, swept by the next run when its owner died."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from backstop.errors import StorageError, StorageFullError
from backstop.files.removal import remove_tree
from backstop.storage.posix_files import hand_over

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Not the name that scratch servers' folders use: those are swept by their own rules.
_LOCK = "staging.lock"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_OUR_NAME = re.compile(r".+-[0-9a-f]{8,16}")


@contextmanager
def staging_directory(parent: Path, name: str) -> Iterator[Path]:
    """A new 0700 folder ``parent/name``, removed at the end whatever happens.

    A ``kill -9`` leaves it behind; :func:`sweep_staging` of the next run takes it away. Ownership is a file
    lock, which the kernel drops with its process, so a reused process id cannot keep rubbish alive.

    :raises StorageFullError: no space, or none later while it is written to.
    :raises StorageError: the folder cannot be made.
    """
    folder = parent / name
    try:
        if not parent.is_dir():
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            hand_over(parent, like=parent.parent)
        _refuse_strangers(parent)
        # For a sweep, creating and locking are one step.
        with _locked(parent):
            folder.mkdir(mode=0o700)
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise _explained(error, folder) from error
    try:
        yield folder
    except OSError as error:
        # Whatever was being written in there; programs say it in their own words.
        if error.errno in _FULL:
            raise _explained(error, folder) from error
        raise
    finally:
        try:
            _remove(folder)
        finally:
            # Even then: what stays is swept by the next run, which must not take it for a living one's.
            os.close(descriptor)


def sweep_staging(parent: Path) -> list[Path]:
    """Remove what dead runs left under ``parent``; returns what was removed.

    :raises StorageError: the folder is not for this user.
    """
    if not parent.is_dir():
        return []
    try:
        with _locked(parent):
            return [folder for folder in sorted(parent.iterdir()) if _swept(folder)]
    except OSError as error:
        raise _explained(error, parent) from error


def left_behind(parent: Path) -> list[Path]:
    """What :func:`sweep_staging` would remove, as far as there is anything in it; nothing is changed."""
    found = []
    with suppress(OSError):  # not there, or not for this user
        for folder in sorted(parent.iterdir()):
            with suppress(OSError):
                if (folder / _LOCK).exists() and _owner_is_dead(folder / _LOCK):
                    found.append(folder)
    return found


def _swept(folder: Path) -> bool:
    lock = folder / _LOCK
    # Another user's run, alive or not: theirs to sweep.
    with suppress(PermissionError):
        if lock.exists():
            if _owner_is_dead(lock):
                _remove(folder)
                return True
        elif _OUR_NAME.fullmatch(folder.name) and folder.is_dir():
            # Killed before it had a lock; should there be anything in it, it is not ours.
            with suppress(OSError):
                folder.rmdir()
                return True
    return False


def _remove(folder: Path) -> None:
    """What cannot be removed stays for the next sweep, which knows it by its lock: that goes last."""
    for entry in folder.iterdir():
        if entry.name != _LOCK:
            if entry.is_dir() and not entry.is_symlink():
                remove_tree(bytes(entry), ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
    if [entry.name for entry in folder.iterdir()] == [_LOCK]:
        remove_tree(bytes(folder), ignore_errors=True)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _owner_is_dead(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _refuse_strangers(parent: Path) -> None:
    """In a folder open to all, such as /tmp, anybody may have made ours first.

    Its owner could exchange what is in it: dumps in plain text, and files with passwords.
    """
    owner = parent.stat().st_uid
    if owner not in (0, os.geteuid()) and parent.parent.stat().st_mode & stat.S_IWOTH:
        raise StorageError(
            f"staging folder {parent} belongs to another user (uid {owner})",
            hint="set database.spool in targets.yaml to a folder of this user's own",
        )


def _explained(error: OSError, folder: Path) -> StorageError:
    if error.errno in _FULL:
        return StorageFullError(f"no space left for staging at {folder}", hint="free space, then run again")
    return StorageError(
        f"staging folder {folder} cannot be used: {error.strerror}",
        hint="set database.spool in targets.yaml to a folder this user can write",
    )
