"""Reads what ``tar -c`` wrote (GNU, pax or ustar), to its very end, or says where it is not whole.

Nothing is written here, and no name is believed: see :mod:`.unpack`.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLOCK_BYTES = tarfile.BLOCKSIZE
_PIECE_BYTES = 1024 * 1024
_LONGEST_HEADER_BYTES = 1024 * 1024
_HINT = "choose another backup: tar, or what it wrote to, was cut off or damaged"
_KINDS = {
    **dict.fromkeys(tarfile.REGULAR_TYPES, "file"),
    tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hard link",
    tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device",
}  # fmt: skip
_NO_ID = 2**32 - 1
_LATEST = 2.0**62
_GLOBAL = b"g"
_EXTENDED = b"x"
_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK


@dataclass(frozen=True, slots=True)
class Member:
    """One entry, as the archive says.

    :param kind: ``file``, ``directory``, ``symlink``, ``hard link``, ``fifo`` or ``device``.
    :param link: of a link, what it leads to.
    """

    name: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    mtime: float
    size_bytes: int
    link: bytes


class Archive:
    """The members of one archive in turn; iterate once, to the end.

    :param stream: uncompressed. :param name: what errors call it.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._left = 0
        self._padding = 0
        self._global: dict[str, str] = {}

    def __iter__(self) -> Iterator[Member]:
        """Content that was not asked for is passed over.

        :raises IntegrityError: cut off, damaged, no end, something behind the end, or a form unknown here.
        """
        extended: dict[str, str] = {}
        long: dict[bytes, bytes] = {}
        while (header := self._header()) is not None:
            kind = header.type
            if kind in (_LONG_NAME, _LONG_LINK):
                long[kind] = self._small(header).split(b"\0", 1)[0]
            elif kind == _EXTENDED:
                extended = self._records(self._small(header))
            elif kind == _GLOBAL:
                self._global |= self._records(self._small(header))
            else:
                yield self._member(header, {**self._global, **extended}, long)
                self._skip()
                extended, long = {}, {}
        if extended or long:
            raise self._damaged("ends behind half a header")
        self._end()

    def content(self) -> Iterator[bytes]:
        """Of the member that came last. :raises IntegrityError: it ends early."""
        while self._left:
            piece = self._stream.read(min(self._left, _PIECE_BYTES))
            if not piece:
                raise self._damaged("is not complete: it ends within a file")
            self._left -= len(piece)
            yield piece

    def _header(self) -> tarfile.TarInfo | None:
        """None: the first of the two empty blocks at the end."""
        block = self._exactly(_BLOCK_BYTES, "has no end-of-archive mark: it was cut off")
        if block == bytes(_BLOCK_BYTES):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise self._damaged(f"is damaged, or no tar archive: {error}") from error
        if header.size < 0:
            raise self._damaged("is damaged: a file of a negative size")
        return header

    def _member(
        self, header: tarfile.TarInfo, extended: Mapping[str, str], long: Mapping[bytes, bytes]
    ) -> Member:
        if header.type not in _KINDS or any(key.startswith("GNU.sparse") for key in extended):
            raise self._damaged(
                f"has a member of a form that is not read here (type {header.type!r}: a sparse file?)"
            )
        kind = _KINDS[header.type]
        name = long.get(_LONG_NAME) or _bytes(extended.get("path", header.name))
        try:
            size_bytes = int(extended.get("size", header.size)) if kind == "file" else 0
            uid, gid = int(extended.get("uid", header.uid)), int(extended.get("gid", header.gid))
            mtime = float(extended.get("mtime", header.mtime))
            _require_possible(size_bytes, uid, gid, mtime)
        except (ValueError, OverflowError) as error:
            raise self._damaged(f"is damaged: {error}") from error
        if kind == "file" and header.name.endswith("/") and header.type == tarfile.AREGTYPE:
            kind = "directory"  # as tars before POSIX wrote them
        self._left, self._padding = size_bytes, -size_bytes % _BLOCK_BYTES
        link = long.get(_LONG_LINK) or _bytes(extended.get("linkpath", header.linkname))
        return Member(name, kind, header.mode & 0o7777, uid, gid, mtime, size_bytes, link)

    def _small(self, header: tarfile.TarInfo) -> bytes:
        if header.size > _LONGEST_HEADER_BYTES:
            raise self._damaged("is damaged: a name or header of more than a megabyte")
        data = self._exactly(header.size, "is not complete: it ends within a header")
        self._exactly(-header.size % _BLOCK_BYTES, "is not complete: it ends within a header")
        return data

    def _records(self, data: bytes) -> dict[str, str]:
        """POSIX pax: ``<length> <key>=<value>\\n`` each."""
        records = {}
        while data.strip(b"\0"):
            length, _, rest = data.partition(b" ")
            if not length.isdigit() or not len(length) + 1 < int(length) <= len(data):
                raise self._damaged("is damaged: a pax header that nobody can read")
            record, data = rest[: int(length) - len(length) - 2], data[int(length) :]
            key, _, value = record.partition(b"=")
            records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        return records

    def _skip(self) -> None:
        for _ in self.content():
            pass
        self._exactly(self._padding, "is not complete: it ends behind a file")
        self._padding = 0

    def _end(self) -> None:
        # tar writes two empty blocks, then fills its last record with more of them.
        self._exactly(_BLOCK_BYTES, "is not complete: half of its end-of-archive mark is there", empty=True)
        while rest := self._stream.read(_PIECE_BYTES):
            if rest.strip(b"\0"):
                raise self._damaged("has something behind its end: another archive, perhaps")

    def _exactly(self, count: int, complaint: str, *, empty: bool = False) -> bytes:
        data = self._stream.read(count)
        if len(data) < count or (empty and data.strip(b"\0")):
            raise self._damaged(complaint)
        return data

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(f"{self._name} {what}", hint=_HINT)


def _require_possible(size_bytes: int, uid: int, gid: int, mtime: float) -> None:
    if size_bytes < 0:
        raise ValueError("a file of a negative size")
    # The highest number means "as it is" to chown.
    if not (0 <= uid < _NO_ID and 0 <= gid < _NO_ID):
        raise ValueError("an owner or group that no system has")
    if not abs(mtime) < _LATEST:  # neither is NaN
        raise ValueError("a time of change that is none")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
