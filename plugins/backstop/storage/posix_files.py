"""What a directory needs to be a storage: durable links, temporary files that die with us, named errors."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import secrets
import shutil
import time
from typing import TYPE_CHECKING

from backstop.errors import (
    ObjectMissingError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

_STALE_SECONDS = 24 * 3600
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NOT_THERE = frozenset({errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH})
# Where hard links are impossible: another file system, a foreign owner (fs.protected_hardlinks), FUSE.
NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})


def explain(error: OSError, path: str | Path) -> StorageError:
    """The storage error that this system error at ``path`` means."""
    reason = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        return StorageFullError(f"no space left at {path}", hint="free space or enlarge it, then run again")
    if error.errno in _NOT_THERE:
        return StorageUnavailableError(f"{path}: {reason}", hint="check the network mount, then run again")
    if error.errno in _NOT_ALLOWED:
        return StorageError(
            f"{path}: {reason}",
            hint="give the user that Backstop runs as write access to the repository's directory",
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ObjectMissingError(f"{path} does not exist")
    return StorageError(f"{path}: {reason}", hint="check the disk and its file system")


@contextlib.contextmanager
def errors_named(path: str | Path) -> Iterator[None]:
    """Raise system errors of the block as storage errors about ``path``."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


class ErrorNamingFile(io.FileIO):
    """A file opened for reading whose read errors are storage errors."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "rb")
        self._path = path

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        with errors_named(self._path):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with errors_named(self._path):
            return super().readall()


def sync_directory(directory: Path) -> None:
    """Make names in the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hand_over(made: Path | int, *, like: Path) -> None:
    """What root makes belongs to whom ``like`` belongs, as far as the file system lets it.

    A backup made from a root shell must not be a file that the repository's own user cannot read, nor a lease
    that stops every backup of that user's.
    """
    if os.geteuid() == 0:
        owner = like.stat()
        if owner.st_uid != 0:
            with contextlib.suppress(OSError):
                os.chown(made, owner.st_uid, owner.st_gid)


def make_directory(directory: Path, *, below: Path) -> None:
    """Create ``directory`` (0700) and its parents down from ``below``, each one durable.

    ``below`` itself is created too, but not *its* parent: a disk that is not mounted stays an error.
    """
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        if directory == below:
            raise
        make_directory(directory.parent, below=below)
        directory.mkdir(mode=0o700, exist_ok=True)
    hand_over(directory, like=directory.parent)
    sync_directory(directory.parent)


def remove_empty(directory: Path, *, below: Path) -> None:
    """Take away the directory, and those above it that are empty then, but not ``below`` itself."""
    while directory != below:
        try:
            directory.rmdir()
        except OSError:
            return  # not empty, in use or not ours: an empty folder harms nobody
        directory = directory.parent


def link_new(source: Path, destination: Path, *, root: Path) -> None:
    """Give ``source`` the new name ``destination``, durably, and never replace anything.

    :raises FileExistsError: the name is taken.
    """
    for attempt in range(5):
        make_directory(destination.parent, below=root)
        try:
            os.link(source, destination)
            break
        except FileNotFoundError:
            # Whoever deletes an object also prunes its empty parents, perhaps between our two steps.
            if attempt == 4 or not source.exists():
                raise
    sync_directory(destination.parent)


@contextlib.contextmanager
def temporary_file(directory: Path, *, root: Path) -> Iterator[tuple[int, Path]]:
    """A new 0600 file (descriptor, path) in ``directory``, gone at the end; locked while we live."""
    make_directory(directory, below=root)
    descriptor, path = _locked(directory)
    try:
        hand_over(descriptor, like=directory)
        yield descriptor, path
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(descriptor)


def _locked(directory: Path) -> tuple[int, Path]:
    while True:
        path = directory / f"{os.getpid()}-{secrets.token_hex(8)}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # a sweeper came between creating and locking, and is about to remove the name
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(descriptor)
                raise
            return descriptor, path  # sweeping then goes by age alone
        else:
            with contextlib.suppress(FileNotFoundError):
                # Or it has been and gone, and so is the name.
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor, path
        os.close(descriptor)


def sweep(directory: Path) -> list[Path]:
    """Remove temporary files whose owner died (its lock is free); returns them.

    The kernel drops a lock with its process, so a reused process id or another container's cannot mislead us.
    Where the file system has no locks, files older than a day go.
    """
    removed = []
    try:
        found = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            if _remove_if_stale(path):
                removed.append(path)
    return removed


def _remove_if_stale(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not _is_stale(descriptor):
            return False
        # While we hold its lock: its owner may have made it this moment, and locks it next.
        path.unlink()
    finally:
        os.close(descriptor)
    return True


def _is_stale(descriptor: int) -> bool:
    """Whether its owner is dead; its lock is ours then."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return time.time() - os.fstat(descriptor).st_mtime > _STALE_SECONDS
    return True


def copy_into(source: Path, destination: Path) -> None:
    """Copy bytes only, in the kernel where it can; ``destination`` exists and keeps its mode."""
    shutil.copyfile(source, destination)
