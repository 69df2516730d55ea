"""Reads what gzip wrote to its very end, or says where it is not whole. Memory is bounded."""

from __future__ import annotations

import hashlib
import io
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

_BLOCK_BYTES = 1024 * 1024
_FIRST_PIECE_BYTES = 512
_LONGEST_PIECE_BYTES = 256 * 1024
_GZIP = 31  # zlib: a gzip header and trailer, its CRC and length compared
_MAGIC = b"\x1f\x8b"
_HINT = "choose another backup; this file was cut short or damaged"


class Gunzip(io.RawIOBase):
    """The content of a gzip file: one member, or several one behind the other.

    Unlike the gzip program and :mod:`gzip` it takes nothing behind the last member for granted: neither
    zeros nor other rubbish, and no file that ends where a member has not.

    :param source: of the compressed bytes; read to its end.
    :param name: what errors call it.
    :param advance: told of compressed bytes.
    """

    def __init__(self, source: BinaryIO, name: str, *, advance: Callable[[int], None]) -> None:
        super().__init__()
        self._source = source
        self._name = name
        self._advance = advance
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False
        self._block = b""
        self._position = 0
        self._piece_bytes = _FIRST_PIECE_BYTES
        self._digest = hashlib.sha256()
        self.stored_bytes = 0
        self.content_bytes = 0

    def readable(self) -> bool:
        return True

    @property
    def sha256(self) -> str:
        """Of the compressed bytes read so far; of the file, once it was read to its end."""
        return self._digest.hexdigest()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """:raises IntegrityError: damaged, cut off, or followed by something that is no gzip."""
        view = memoryview(buffer).cast("B")
        content = self._next(len(view)) if len(view) else b""
        view[: len(content)] = content
        self.content_bytes += len(content)
        return len(content)

    def _next(self, most_bytes: int) -> bytes:
        while True:
            if self._member.eof:
                self._member, self._begun = zlib.decompressobj(_GZIP), False
                self._piece_bytes = _FIRST_PIECE_BYTES
            if self._position == len(self._block):
                self._block, self._position = self._read(), 0
            if not self._block:
                if self._begun or not self.stored_bytes:
                    raise self._damaged("ends before its gzip stream does")
                return b""
            content = self._decompress(most_bytes)
            if content:
                return content

    def _decompress(self, most_bytes: int) -> bytes:
        if not self._begun:
            if len(self._block) - self._position < len(_MAGIC):
                self._block, self._position = self._block[self._position :] + self._read(), 0
            if not self._block.startswith(_MAGIC, self._position):
                behind = "has something behind the end of its gzip stream"
                raise self._damaged(behind if self.content_bytes else "is no gzip")
        self._begun = True
        # zlib copies what it leaves over: once for each of a thousand tiny members, so it is given little.
        piece = memoryview(self._block)[self._position : self._position + self._piece_bytes]
        self._piece_bytes = min(2 * self._piece_bytes, _LONGEST_PIECE_BYTES)
        try:
            content = self._member.decompress(piece, most_bytes)
        except zlib.error as error:
            raise self._damaged(f"is damaged: {error}") from error
        left = len(self._member.unused_data) + len(self._member.unconsumed_tail)
        self._position += len(piece) - left
        return content

    def _read(self) -> bytes:
        data = self._source.read(_BLOCK_BYTES)
        self._digest.update(data)
        self.stored_bytes += len(data)
        self._advance(len(data))
        return data

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(f"{self._name} {what}", hint=_HINT)


def buffered(raw: Gunzip) -> BinaryIO:
    """The same content, for readers of small pieces."""
    return cast("BinaryIO", io.BufferedReader(raw, _BLOCK_BYTES))
