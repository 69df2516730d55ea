"""A private folder of one run, swept by the next run when its owner died."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backstop.errors import StorageError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = "owner.lock"


@contextmanager
def staging_directory(parent: Path, name: str) -> Iterator[Path]:
    """A new 0700 folder ``parent/name``, removed at the end whatever happens.

    A ``kill -9`` leaves it behind; :func:`sweep_staging` of the next run takes it away. Ownership is a file
    lock, which the kernel drops with its process, so a reused process id cannot keep rubbish alive.

    :raises StorageFullError: no space; :raises StorageError: the folder cannot be made.
    """
    folder = parent / name
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _explained(error, folder) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def sweep_staging(parent: Path) -> list[Path]:
    """Remove what dead runs left under ``parent``; returns what was removed."""
    removed = []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
        lock = folder / _LOCK
        if folder.is_dir() and lock.exists() and _owner_is_dead(lock):
            shutil.rmtree(folder)
            removed.append(folder)
    return removed


def _owner_is_dead(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _explained(error: OSError, folder: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(f"no space left for staging at {folder}", hint="free space, then run again")
    return StorageError(
        f"staging folder {folder} cannot be made: {error.strerror}",
        hint="set database.spool in targets.yaml to a folder this user can write",
    )
