"""A look into a tar archive while it streams by: where its members end, and the CRC-32C of each file.

Nothing is copied or held back: whoever passes the stream on learns after each chunk at which places in it a
member has ended. Reads what PostgreSQL writes: ustar headers of files, directories and symbolic links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_BYTES = 512
TRAILER = bytes(2 * BLOCK_BYTES)
"""Two zero blocks end a tar archive."""

_ZERO_BLOCK = bytes(BLOCK_BYTES)
_REGULAR, _DIRECTORY, _SYMLINK = (b"0", b"\0"), b"5", b"2"
_HINT = "take another base backup; if it happens again, look at the network and memory of both machines"


class TarMembers:
    """Fed with one archive in chunks of any size.

    :param archive: what errors call it.
    :param prefix: goes before every member's name in :attr:`files`.
    """

    def __init__(self, archive: str, *, prefix: str = "") -> None:
        self._archive = archive
        self._prefix = prefix
        self._header = bytearray()
        self._content_left = 0
        self._padding_left = 0
        self._path: str | None = None
        self._size_bytes = 0
        self._crc32c = 0
        self.files: dict[str, tuple[int, int]] = {}
        """Size in bytes and CRC-32C of every regular file so far, by path."""
        self.links: dict[str, str] = {}
        """Where every symbolic link so far points to."""
        self.ended = False
        """Whether the zero blocks at the end have begun."""

    def feed(self, chunk: memoryview) -> Sequence[int]:
        """Take note of the next bytes.

        :returns: positions in ``chunk`` right behind a member. Once :attr:`ended`, nothing behind the last
            one, here or earlier, belongs to any.
        :raises IntegrityError: not a tar archive as PostgreSQL writes it.
        """
        if self.ended:
            return ()
        ends = []
        position, length = 0, len(chunk)
        while position < length and not self.ended:
            if self._content_left:
                position += self._content(chunk[position : position + self._content_left])
            elif self._padding_left:
                skipped = min(self._padding_left, length - position)
                self._padding_left -= skipped
                position += skipped
            else:
                position += self._read_header(chunk[position : position + BLOCK_BYTES - len(self._header)])
                if self._header:
                    break  # the rest of it comes with the next chunk
            if not (self._content_left or self._padding_left or self._header or self.ended):
                self._end_member()
                ends.append(position)
        return ends

    @property
    def header_bytes(self) -> int:
        """How many bytes at the end of what was fed are the beginning of a header, or of the trailer."""
        return len(self._header)

    def finish(self) -> None:
        """:raises IntegrityError: the archive ended in the middle, or without its trailer."""
        if not self.ended:
            raise self._damaged("ended early" + (f", in {self._path}" if self._path else ""))

    def _content(self, piece: memoryview) -> int:
        from crc32c import crc32c

        self._crc32c = crc32c(piece, self._crc32c)
        self._content_left -= len(piece)
        return len(piece)

    def _read_header(self, piece: memoryview) -> int:
        self._header += piece
        if len(self._header) == BLOCK_BYTES:
            header = bytes(self._header)
            self._header.clear()
            if header == _ZERO_BLOCK:
                self.ended = True
            else:
                self._begin_member(header)
        return len(piece)

    def _begin_member(self, header: bytes) -> None:
        # Summed up as if the sum's own field were blank (POSIX, ustar).
        if sum(header) - sum(header[148:156]) + 8 * 32 != self._octal(header[148:156], "checksum"):
            raise self._damaged("has a header that is damaged or out of place")
        name = header[:100].split(b"\0", 1)[0]
        kind = header[156:157]
        path = self._prefix + name.decode("utf-8", "surrogateescape")
        size_bytes = 0
        if kind in _REGULAR:
            size_bytes = self._size(header[124:136])
            self._path = path
        elif kind == _SYMLINK:
            self.links[path] = header[157:257].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        elif kind != _DIRECTORY:
            raise self._damaged(f"holds {path}, of the unknown kind {kind!r}")
        self._size_bytes = self._content_left = size_bytes
        self._padding_left = -size_bytes % BLOCK_BYTES
        self._crc32c = 0

    def _end_member(self) -> None:
        if self._path is not None:
            self.files[self._path] = (self._size_bytes, self._crc32c)
            self._path = None

    def _size(self, field: bytes) -> int:
        if field[0] & 0x80:  # too large for octal digits: binary, as GNU tar writes it
            return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        return self._octal(field, "size")

    def _octal(self, field: bytes, what: str) -> int:
        try:
            return int(field.rstrip(b"\0 ").lstrip(b" ") or b"0", 8)
        except ValueError:
            raise self._damaged(f"has a header with a damaged {what}") from None

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(f"the server's archive {self._archive} {what}", hint=_HINT)
