"""Reads a file in pieces, and tells whether it held still meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.file_tree import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE_BYTES = 16 * 1024 * 1024
"""A file is cut so often from its beginning (docs/format.md)."""
TRIES = 3
_PAUSES = (0.05, 0.25)
_LEAST_HOLE = 64 * 1024
# The kernel stamps changes by a clock that ticks 100 times a second or more; some file systems by the second.
_TICK_NS, _SECOND_NS = 20_000_000, 1_000_000_000

if TYPE_CHECKING:
    Store = Callable[[str, bytes], str]
    """Takes a piece's SHA-256 and the piece; returns the name of the pack that holds it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of one file.

    :param status: of the file, before it was read; with it the content belongs together.
    :param size_bytes: of the content.
    :param skewed: it changed each time it was read: the pieces may be of several moments.
    :param settled: no change that comes from now on can hide behind the same ctime.
    """

    status: os.stat_result
    size_bytes: int
    chunks: tuple[Chunk, ...]
    skewed: bool
    settled: bool


class NotAFileError(OSError):
    """Something else lies there now."""


def read_file(
    descriptor: int, store: Store, *, pause: Callable[[float], None] = time.sleep, tries: int = TRIES
) -> Content:
    """Hand every piece of an open file to ``store``; again, when the file changed meanwhile.

    A file that has been replaced or removed by now is read as it was when it was opened.

    :raises OSError: it cannot be read.
    """
    while True:
        tries -= 1
        before, is_settled = settled(descriptor, pause)
        wait_for_writer(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise NotAFileError(errno.ENOENT, "no regular file any more")
        last: list[tuple[int, bytes]] = []
        chunks: list[Chunk] = []
        end = before.st_size
        for offset, size in _extents(descriptor, before):
            # The last piece waits for the verdict: of most files it is the only one.
            _store(last, chunks, store)
            piece = _read(descriptor, offset, size)
            if piece:
                last.append((offset, piece))
            if len(piece) < size:
                end = offset + len(piece)
                break
        changed = _changed(before, os.fstat(descriptor))
        if not changed or tries <= 0:
            _store(last, chunks, store)
            return Content(before, end, tuple(chunks), skewed=changed, settled=is_settled and not changed)
        pause(_PAUSES[min(TRIES - tries, len(_PAUSES)) - 1])


def settled(descriptor: int, pause: Callable[[float], None]) -> tuple[os.stat_result, bool]:
    """What the system says of an open file or folder, once later changes show in it.

    A change within the tick of the last one leaves the same ctime: wait until the tick has passed.

    False: the ctime lies in the future, where no waiting helps.
    """
    status = os.fstat(descriptor)
    tick = _TICK_NS if status.st_ctime_ns % _SECOND_NS else _TICK_NS + _SECOND_NS
    missing = status.st_ctime_ns + tick - time.time_ns()
    if missing <= 0:
        return status, True
    if missing > tick:
        return status, False
    pause(missing / _SECOND_NS)
    again = os.fstat(descriptor)
    # Where it is being written to all the time, reading it will show that.
    return again, not _changed(status, again)


def wait_for_writer(descriptor: int) -> None:
    """A write that is under way has set the times when it began, however long it takes from there.

    Looking for a hole takes the lock that the writer holds (ext4, btrfs, f2fs, tmpfs; XFS has readers wait
    themselves). A write that begins later sets times that are later than those that we have seen.
    """
    with suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_HOLE)


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_ctime_ns, before.st_mtime_ns, before.st_size) != (
        after.st_ctime_ns,
        after.st_mtime_ns,
        after.st_size,
    )


def _store(waiting: list[tuple[int, bytes]], chunks: list[Chunk], store: Store) -> None:
    while waiting:
        offset, piece = waiting.pop()
        sha256 = hashlib.sha256(piece).hexdigest()
        chunks.append(Chunk(offset, len(piece), sha256, store(sha256, piece)))


def _read(descriptor: int, offset: int, size: int) -> bytes:
    """Less only at the file's end."""
    piece = os.pread(descriptor, size, offset)
    if len(piece) == size or not piece:
        return piece
    parts = [piece]
    missing = size - len(piece)
    while missing and (part := os.pread(descriptor, missing, offset + size - missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _extents(descriptor: int, status: os.stat_result) -> Iterator[tuple[int, int]]:
    """Offset and size of every piece: no holes, no cut passed."""
    for start, end in _data(descriptor, status):
        while start < end:
            cut = min(end, (start // PIECE_BYTES + 1) * PIECE_BYTES)
            yield start, cut - start
            start = cut


def _data(descriptor: int, status: os.stat_result) -> Iterator[tuple[int, int]]:
    """Where the file has content; holes that are not worth it are taken for zeros."""
    size = status.st_size
    if status.st_blocks * 512 >= size:
        if size:
            yield 0, size
        return
    start = _seek(descriptor, 0, os.SEEK_DATA, size)
    while start < size:
        end = _seek(descriptor, start, os.SEEK_HOLE, size)
        following = _seek(descriptor, end, os.SEEK_DATA, size)
        while following < size and following - end < _LEAST_HOLE:
            end = _seek(descriptor, following, os.SEEK_HOLE, size)
            following = _seek(descriptor, end, os.SEEK_DATA, size)
        yield start, end
        start = following


def _seek(descriptor: int, offset: int, whence: int, size: int) -> int:
    """:returns: ``size`` where there is no more of it, or less of the file than there was."""
    if offset >= size:
        return size
    try:
        return min(size, os.lseek(descriptor, offset, whence))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        if error.errno == errno.EINVAL:  # a file system that knows no holes
            return offset if whence == os.SEEK_DATA else size
        raise
