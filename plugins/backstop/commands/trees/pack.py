"""Reads a pack: a tar of pieces of content, each named by its SHA-256. Nothing else may be in it."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import re
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from backstop.model.file_tree import Chunk

PIECE_BYTES = 16 * 1024 * 1024
"""No piece is larger (docs/format.md)."""
MAX_PACK_BYTES = 256 * 1024 * 1024
"""Generous: a pack is full at 32 MiB, with one piece more, and a header for each."""
_BLOCK = 512
_PIECE = re.compile(rb"([0-9a-f]{64})\0")
_OCTAL = re.compile(rb"[0-7]{1,12}")
_REGULAR = b"0\0"


class Pack:
    """A decrypted pack in a file, mapped into memory; its pieces are handed out as they lie there.

    :param name: what errors call it.
    :raises IntegrityError: it is not such a tar, from its first byte to its last.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._places: dict[str, tuple[int, int]] = {}
        self._checked: set[str] = set()
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise self._damaged("is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._content = memoryview(self._map)
        try:
            self._read_headers()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Pack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        # An error on its way may still hold a piece: then its end frees the map.
        with contextlib.suppress(BufferError):
            self._content.release()
            self._map.close()

    def piece(self, sha256: str, size_bytes: int) -> memoryview:
        """One piece, hashed. Release it before the pack is closed.

        :raises IntegrityError: it is not in here, of another size, or not what its name says.
        """
        try:
            start, size = self._places[sha256]
        except KeyError:
            raise self._damaged(f"lacks piece {sha256[:16]}…") from None
        if size != size_bytes:
            raise self._damaged(f"has {size} bytes as piece {sha256[:16]}…; the list says {size_bytes}")
        piece = self._content[start : start + size]
        if sha256 not in self._checked:
            if hashlib.sha256(piece).hexdigest() != sha256:
                piece.release()
                raise self._damaged(f"has other content as piece {sha256[:16]}…")
            self._checked.add(sha256)
        return piece

    def _read_headers(self) -> None:
        position, end = 0, len(self._content)
        while True:
            header = bytes(self._content[position : position + _BLOCK])
            if len(header) < _BLOCK:
                raise self._damaged("ends early")
            position += _BLOCK
            if not any(header):
                break
            sha256, size = self._header(header)
            if position + size > end:
                raise self._damaged("ends early")
            # Two files read at a time may bring the same piece: whichever is used is hashed.
            self._places.setdefault(sha256, (position, size))
            position += size + -size % _BLOCK
        # Zeros alone may follow: a tar is padded to whatever its writer likes.
        if self._map[position:].strip(b"\0"):
            raise self._damaged("has something behind its end")

    def _header(self, header: bytes) -> tuple[str, int]:
        # Summed up as if the sum's own field were blank (POSIX, ustar).
        if sum(header) - sum(header[148:156]) + 8 * 32 != self._octal(header[148:156]):
            raise self._damaged("has a header that is damaged or out of place")
        name = _PIECE.match(header)
        if name is None or any(header[345:500]):
            raise self._damaged(f"has a member that is no piece, {header[:100].rstrip(bytes(1))!r}")
        size = self._octal(header[124:136])
        if header[156] not in _REGULAR or not 0 < size <= PIECE_BYTES:
            raise self._damaged(f"has a member that is no piece of a file, {name[1].decode()}")
        return name[1].decode(), size

    def _octal(self, field: bytes) -> int:
        digits = field.strip(b"\0 ")
        if not _OCTAL.fullmatch(digits):
            raise self._damaged("has a header that is damaged or out of place")
        return int(digits, 8)

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"pack {self.name} {what}", hint="read it from another repository, or choose another backup"
        )


def refuse_odd_chunk(chunk: Chunk, *, file_bytes: int) -> None:
    """:raises ValueError: no file of that size has such a piece."""
    if chunk.size_bytes > PIECE_BYTES or chunk.offset + chunk.size_bytes > file_bytes:
        raise ValueError(f"a piece of {chunk.size_bytes} bytes at {chunk.offset} in {file_bytes} bytes")
