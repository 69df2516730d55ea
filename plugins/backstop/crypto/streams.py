"""Reading and writing byte streams the way the envelope needs: whole blocks, counted, hashed."""

from __future__ import annotations

import errno
import hashlib
from typing import BinaryIO

from backstop.errors import StorageFullError


class HashingReader:
    """Reads whole blocks from a stream that may return less than asked, counting and hashing them.

    :meth:`read` returns fewer bytes than asked only at the end of the stream. ``failure`` keeps what the
    stream itself raised, so that a caller can tell it from errors about the bytes.

    :param hashed: False where nobody asks for the hash: hashing is a good part of the work.
    """

    def __init__(self, source: BinaryIO, *, hashed: bool = True) -> None:
        self._source = source
        self._hash = hashlib.sha256() if hashed else None
        self.bytes_read = 0
        self.ended = False
        self.failure: BaseException | None = None

    @property
    def sha256(self) -> str:
        """Of everything read so far, as lower-case hexadecimal; empty when not hashed."""
        return self._hash.hexdigest() if self._hash is not None else ""

    def read(self, size_bytes: int) -> bytes:
        """Exactly that many bytes, or what is left before the end of the stream."""
        block = self._read_some(size_bytes)
        if len(block) < size_bytes and not self.ended:
            parts = [block]
            missing = size_bytes - len(block)
            while missing and (part := self._read_some(missing)):
                parts.append(part)
                missing -= len(part)
            block = b"".join(parts)
        if self._hash is not None:
            self._hash.update(block)
        self.bytes_read += len(block)
        return block

    def _read_some(self, size_bytes: int) -> bytes:
        if self.ended or not size_bytes:
            return b""
        try:
            part = self._source.read(size_bytes)
        except BaseException as error:
            self.failure = error
            raise
        self.ended = not part
        return part


class HashingWriter:
    """Writes to a sink, counting and hashing every byte.

    :param hashed: as :class:`HashingReader`.
    """

    def __init__(self, sink: BinaryIO, *, hashed: bool = True) -> None:
        self._sink = sink
        self._place = getattr(sink, "name", "the output")
        self._hash = hashlib.sha256() if hashed else None
        self.bytes_written = 0

    @property
    def sha256(self) -> str:
        """Of everything written so far, as lower-case hexadecimal; empty when not hashed."""
        return self._hash.hexdigest() if self._hash is not None else ""

    def write(self, block: bytes) -> None:
        """:raises StorageFullError: no space, or a quota, where the sink lives."""
        write_all(self._sink, block, place=self._place)
        if self._hash is not None:
            self._hash.update(block)
        self.bytes_written += len(block)

    def flush(self) -> None:
        """Hand what the sink still buffers to the system, so that a full disk is noticed here.

        :raises StorageFullError: as :meth:`write`.
        """
        try:
            self._sink.flush()
        except OSError as error:
            raise_if_full(error, self._place)
            raise


def write_all(sink: BinaryIO, block: bytes | memoryview, *, place: object) -> None:
    """Write every byte; a raw sink may take less than it is offered.

    :raises StorageFullError: no space, or a quota, at ``place``.
    """
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[sink.write(rest) :]
    except OSError as error:
        raise_if_full(error, place)
        raise


def raise_if_full(error: OSError, place: object) -> None:
    """Turn "no space" and "over quota" into our error; any other error is left to the caller.

    :raises StorageFullError: when that is what the error says.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise StorageFullError(
            f"no space left while writing {place}",
            hint="free space there, or point `spool` in targets.yaml at a larger directory",
        ) from error
