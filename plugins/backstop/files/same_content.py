"""Whether a file still holds what a backup lists, by reading it."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from backstop.files.content import settled, wait_for_writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.file_tree import Entry

_BLOCK = 1024 * 1024


def has_content_of(listed: Entry, *, pause: Callable[[float], None] = time.sleep) -> bool:
    """Whether the file at the entry's path holds exactly its pieces, and zeros between them.

    False as soon as a piece differs, and when the file cannot be read: whoever backs it up will say why. A
    change that comes after this has other times than those that the file had before it.

    :param pause: waits for the tick of the clock that the last change was stamped with to pass.
    """
    try:
        descriptor = _open(b"/" + listed.path)
    except OSError:
        return False
    try:
        # A change within the tick of the last one would leave the times that the caller has seen, and a write
        # that began before those goes on behind them.
        status, _ = settled(descriptor, pause)
        wait_for_writer(descriptor)
        if status.st_size != listed.size_bytes:
            return False
        position = 0
        for piece in sorted(listed.chunks, key=lambda chunk: chunk.offset):
            end = piece.offset + piece.size_bytes
            if not _zeros(descriptor, position, piece.offset):
                return False
            if _sha256(descriptor, piece.offset, end) != piece.sha256:
                return False
            position = end
        return _zeros(descriptor, position, listed.size_bytes)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _open(path: bytes) -> int:
    # Another's FIFO in the file's place must not make us wait.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    # Looking is no use of the file; only its owner may say so.
    with suppress(PermissionError):
        return os.open(path, flags | os.O_NOATIME)
    return os.open(path, flags)


def _sha256(descriptor: int, start: int, end: int) -> str:
    digest = hashlib.sha256()
    while start < end:
        block = os.pread(descriptor, min(_BLOCK, end - start), start)
        if not block:
            return ""
        digest.update(block)
        start += len(block)
    return digest.hexdigest()


def _zeros(descriptor: int, start: int, end: int) -> bool:
    while start < end:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return True
            raise
        block = os.pread(descriptor, max(0, min(_BLOCK, end - start)), start)
        if not block:
            return True
        if block.strip(b"\0"):
            return False
        start += len(block)
    return True
