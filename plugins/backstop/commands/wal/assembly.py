"""Where a segment is while it is received and encrypted: in memory when there is room, else in the spool."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.crypto.streams import raise_if_full
from backstop.repository.wal_sealing import MAX_BODY_BYTES, seal_segment

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import WalSegment
    from backstop.repository.wal_names import WalNames
    from backstop.repository.wal_sealing import SealedWal

_MOST_SEGMENTS = 4
_MOST_SEALED_BYTES = 48 * 1024 * 1024


class Memory:
    """What an archiver keeps in memory: four segments, used again and again, and 48 MiB of ciphertext.

    Writing a segment to the spool and reading it back is a good part of the work, and nothing in the spool is
    needed after a crash: the server sends again what no repository has acknowledged. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[bytearray] = []
        self._made = 0
        self._sealed_bytes = 0

    def segment(self, size_bytes: int) -> bytearray | None:
        """A segment's room, with whatever was in it before; None when there is none."""
        with self._lock:
            if self._free and len(self._free[-1]) == size_bytes:
                return self._free.pop()
            if self._made == _MOST_SEGMENTS or size_bytes > MAX_BODY_BYTES:
                return None
            self._made += 1
        return bytearray(size_bytes)

    def give_back(self, room: bytearray) -> None:
        with self._lock:
            self._free.append(room)

    def take_sealed(self, size_bytes: int) -> bool:
        """Whether so much ciphertext may be kept here; :meth:`return_sealed` then."""
        with self._lock:
            if size_bytes > MAX_BODY_BYTES or self._sealed_bytes + size_bytes > _MOST_SEALED_BYTES:
                return False
            self._sealed_bytes += size_bytes
            return True

    def return_sealed(self, size_bytes: int) -> None:
        with self._lock:
            self._sealed_bytes -= size_bytes


class SegmentBuffer:
    """One segment's bytes, until :meth:`discard`.

    :param path: a new file (0600), should there be no room in memory.
    :raises StorageFullError: no space in the spool.
    """

    def __init__(self, path: Path, size_bytes: int, *, memory: Memory) -> None:
        self.path = path
        self._memory = memory
        self._room = memory.segment(size_bytes)
        self._descriptor = -1
        if self._room is None:
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise_if_full(error, path)
                raise

    def write(self, data: bytes | memoryview, offset_bytes: int) -> None:
        """:raises StorageFullError: no space in the spool."""
        if self._room is not None:
            self._room[offset_bytes : offset_bytes + len(data)] = data
            return
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, offset_bytes)
                offset_bytes += written
                rest = rest[written:]
        except OSError as error:
            raise_if_full(error, self.path)
            raise

    def read(self, offset_bytes: int, size_bytes: int) -> bytes:
        if self._room is not None:
            return bytes(memoryview(self._room)[offset_bytes : offset_bytes + size_bytes])
        return os.pread(self._descriptor, size_bytes, offset_bytes)

    def source(self) -> BinaryIO:
        """All of it from its first byte on; as often as needed, one at a time."""
        if self._room is not None:
            return cast("BinaryIO", _Slices(memoryview(self._room)))
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return cast("BinaryIO", io.FileIO(self._descriptor, closefd=False))

    def discard(self) -> None:
        """Once is enough; whoever reads it must have ended."""
        if self._room is not None:
            room, self._room = self._room, None
            self._memory.give_back(room)
        elif self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self.path.unlink(missing_ok=True)


def seal(
    names: WalNames, segment: WalSegment, buffer: SegmentBuffer, *, keyring: Keyring, memory: Memory
) -> SealedWal:
    """Encrypt it, into memory where there is room; :func:`let_go` of it in the end.

    :raises: as :func:`backstop.repository.wal_sealing.seal_segment`.
    """
    destination = buffer.path.with_name(f"{buffer.path.name}.sealed")
    in_memory = memory.take_sealed(segment.size_bytes)
    try:
        sealed = seal_segment(
            names, segment, buffer.source(), None if in_memory else destination, keyring=keyring
        )
    except BaseException:
        if in_memory:
            memory.return_sealed(segment.size_bytes)
        raise
    if in_memory:
        memory.return_sealed(segment.size_bytes - sealed.stored_bytes)
    return sealed


def let_go(sealed: SealedWal, *, memory: Memory) -> None:
    """Nobody uploads it any more."""
    if isinstance(sealed.body, bytes):
        memory.return_sealed(sealed.stored_bytes)
    else:
        sealed.body.unlink(missing_ok=True)


class _Slices:
    """Read like a file, without a copy."""

    def __init__(self, content: memoryview) -> None:
        self._rest = content

    def read(self, size_bytes: int) -> memoryview:
        taken, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return taken
