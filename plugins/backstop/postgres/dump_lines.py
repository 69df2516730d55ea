"""The text of a plain dump in lines, and in blocks of whole lines where it has rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK_BYTES = 1024 * 1024
LONGEST_BYTES = 1024 * 1024 * 1024  # of a value, in PostgreSQL


class DumpLines:
    """Lines, and runs of rows, of one stream."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._buffer = bytearray()
        self._at = 0
        self.number = 0

    def next(self) -> bytes:
        """With its end; empty behind the last one."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if not self._more():
                end = len(self._buffer) - 1
                self.number += end >= self._at
                return self._take(end + 1)
        self.number += 1
        return self._take(end + 1)

    def rows(self, table: bytes) -> Iterator[bytes]:
        """Whole lines up to the mark ``\\.``, which is taken away."""
        first = self.number
        while True:
            if self._buffer.startswith(b"\\.\n", self._at):
                self._at += 3
                self.number += 1
                return
            end = self._buffer.rfind(b"\n", self._at) + 1
            mark = self._buffer.find(b"\n\\.\n", self._at, end) if end else -1
            if mark >= 0:
                end = mark + 1
            if end:
                block = self._take(end)
                self.number += block.count(b"\n")
                yield block
            elif not self._more():
                raise IntegrityError(
                    f"{self._name} is not complete: it ends among the rows of "
                    f"{table.decode(errors='replace')}, which begin behind line {first}",
                    hint="choose another backup: pg_dump, or what it wrote to, was cut off",
                )

    def _take(self, end: int) -> bytes:
        with memoryview(self._buffer) as view:
            taken = bytes(view[self._at : end])
        self._at = end
        return taken

    def _more(self) -> bool:
        if len(self._buffer) - self._at > 2 * LONGEST_BYTES:
            raise IntegrityError(f"{self._name} has a line longer than PostgreSQL writes", hint="look at it")
        data = self._stream.read(_BLOCK_BYTES)
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data
        return bool(data)
