"""A cluster's files, shared out into parts that several readers take at the same time.

The same form as what a server sends is cut into: whole tar archives of whole files, numbered in each
tablespace.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.crypto.zstd_frames import FRAME_BYTES
from backstop.errors import SourceError
from backstop.postgres.cluster_files import TABLESPACES
from backstop.postgres.tar_members import BLOCK_BYTES, TRAILER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from backstop.postgres.cluster_files import ClusterArchive, ClusterFile, ClusterFolder

# ustar has room for so many bytes, and basebackup.c refuses more.
_MOST_NAME_BYTES = 99


@dataclass(slots=True)
class FilePart:
    """One part that is still to be read.

    :param prefix: goes before its files' names in the backup_manifest.
    """

    name: str
    prefix: str
    folders: list[ClusterFolder] = field(default_factory=list)
    files: list[ClusterFile] = field(default_factory=list)
    size_bytes: int = 0


def plan_parts(archives: Iterable[ClusterArchive], *, part_bytes: int) -> list[FilePart]:
    """In each archive, a part ends with the first file that takes it to ``part_bytes``; folders come first.

    :returns: the largest first, so that readers who take one after another end at nearly the same time.
    """
    parts: list[FilePart] = []
    for archive in archives:
        prefix = "" if archive.location is None else f"{TABLESPACES}/{archive.name}/"
        part = FilePart(f"{archive.name}/000001", prefix, folders=archive.folders)
        number = 1
        for file in archive.files:
            if part.size_bytes >= part_bytes:
                parts.append(part)
                number += 1
                part = FilePart(f"{archive.name}/{number:06d}", prefix)
            part.files.append(file)
            part.size_bytes += file.size_bytes
        parts.append(part)
    return sorted(parts, key=lambda part: part.size_bytes, reverse=True)


def tar_blocks(part: FilePart, content: Callable[[str, ClusterFile], Iterator[bytes]]) -> Iterator[bytes]:
    """The part as a tar archive, in blocks of one frame.

    :param content: of one file of the part with that prefix: its header, its bytes and their padding; nothing
        when it is gone.
    """
    waiting: list[memoryview] = []
    size_bytes = 0
    for piece in _pieces(part, content):
        rest = memoryview(piece)
        while rest:
            taken = rest[: FRAME_BYTES - size_bytes]
            waiting.append(taken)
            size_bytes += len(taken)
            rest = rest[len(taken) :]
            if size_bytes == FRAME_BYTES:
                yield b"".join(waiting)
                waiting, size_bytes = [], 0
    yield b"".join(waiting)


def _pieces(part: FilePart, content: Callable[[str, ClusterFile], Iterator[bytes]]) -> Iterator[bytes]:
    for folder in part.folders:
        yield _folder_header(folder)
    for file in part.files:
        yield from content(part.prefix, file)
    yield TRAILER


def file_header(name: str, *, size_bytes: int, mode: int, uid: int, gid: int, modified_at: int) -> bytes:
    """Of a regular file. :raises SourceError: no tar archive has room for its name."""
    return _header(name, tarfile.REGTYPE, size_bytes, (mode, uid, gid, modified_at))


def padding(size_bytes: int) -> bytes:
    """What follows so many bytes of content."""
    return bytes(-size_bytes % BLOCK_BYTES)


def _folder_header(folder: ClusterFolder) -> bytes:
    owned = folder.mode, folder.uid, folder.gid, folder.modified_at
    if folder.link is not None:
        return _header(folder.name, tarfile.SYMTYPE, 0, owned, link=folder.link)
    return _header(f"{folder.name}/", tarfile.DIRTYPE, 0, owned)


def _header(
    name: str, kind: bytes, size_bytes: int, owned: tuple[int, int, int, int], *, link: str = ""
) -> bytes:
    for text in (name, link):
        if len(text.encode("utf-8", "surrogateescape")) > _MOST_NAME_BYTES:
            raise SourceError(
                f"{text} in the data directory is too long a name for tar: {_MOST_NAME_BYTES} bytes at most",
                hint="rename it; PostgreSQL itself makes no such names",
            )
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size_bytes, link
    member.mode, member.uid, member.gid, member.mtime = owned
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
