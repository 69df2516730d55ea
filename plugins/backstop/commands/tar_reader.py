"""Reads a tar archive from a run of blocks and copies nothing: a cluster's files go through here once."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RECORD_BYTES = tarfile.BLOCKSIZE
_HINT = "choose another backup"
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)


class TarReader:
    """The members of one archive in turn, headers checked as :mod:`tarfile` checks them; no extensions.

    Iterating ends behind the last block, whatever follows the archive's end in it: only there has the last
    byte been authenticated.

    :param name: what errors call the archive.
    """

    def __init__(self, name: str, blocks: Iterable[bytes]) -> None:
        self._name = name
        self._blocks = iter(blocks)
        self._block = memoryview(b"")
        self._content_left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """What is left of a member's content when the next one is asked for is passed over.

        :raises IntegrityError: no tar archive, or it ends early.
        """
        while True:
            self._skip()
            header = self._record()
            if header == bytes(_RECORD_BYTES):
                for _ in self._blocks:
                    pass
                return
            try:
                member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise self._damaged(str(error)) from error
            if member.size < 0:
                raise self._damaged(f"{member.name!r} has the size {member.size}")
            # Other kinds have no content, whatever they say of their size.
            self._content_left = member.size if member.type in REGULAR else 0
            self._padding = -self._content_left % _RECORD_BYTES
            yield member

    def content(self) -> Iterator[memoryview]:
        """Of the member that came last, in pieces of the blocks' sizes.

        :raises IntegrityError: it ends early.
        """
        while self._content_left:
            piece = self._take(self._content_left)
            self._content_left -= len(piece)
            yield piece

    def _skip(self) -> None:
        for _ in self.content():
            pass
        while self._padding:
            self._padding -= len(self._take(self._padding))

    def _record(self) -> bytes:
        record = bytes(self._take(_RECORD_BYTES))
        while len(record) < _RECORD_BYTES:
            record += self._take(_RECORD_BYTES - len(record))
        return record

    def _take(self, most_bytes: int) -> memoryview:
        """At least one byte of what comes next."""
        while not self._block:
            try:
                self._block = memoryview(next(self._blocks))
            except StopIteration:
                raise self._damaged("unexpected end of data") from None
        taken, self._block = self._block[:most_bytes], self._block[most_bytes:]
        return taken

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(f"{self._name} is not a tar file: {what}", hint=_HINT)
