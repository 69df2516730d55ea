"""Takes the parts of a base backup apart: every member checked against PostgreSQL's own list, none trusted.

A part is a tar that came out of a repository. It may name any path and any link; what is written lies below
one new directory, through directories that we made, and links are made by us alone, at the very end.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.tar_reader import REGULAR, TarReader
from backstop.crypto.streams import write_all
from backstop.errors import IntegrityError

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LINK = re.compile(r"pg_tblspc/(?P<oid>[0-9]{1,10})")
_OID = re.compile(r"[0-9]{1,10}")
BASE = "base"
TABLESPACE_MAP = "tablespace_map"


@dataclass(slots=True)
class Extraction:
    """One base backup's files on their way into new directories. Thread-safe.

    :param data: an empty directory. :param tablespaces: where tablespaces go, each under its oid.
    """

    data: Path
    tablespaces: Path
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Size in bytes and CRC-32C by path, as the manifest names it."""
    origins: dict[int, str] = field(default_factory=dict)
    """Where each tablespace was on the source."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def part(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write the members of one part, ``<tablespace>/<number>``.

        :raises IntegrityError: it is no tar, or names something that no base backup holds.
        """
        tablespace = name.partition("/")[0]
        if tablespace == BASE:
            root, prefix = self.data, ""
        elif _OID.fullmatch(tablespace):
            root, prefix = self.tablespaces / tablespace, f"pg_tblspc/{tablespace}/"
        else:
            raise _unsafe(name, tablespace, "is no tablespace")
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        archive = TarReader(name, blocks)
        for member in archive:
            self._member(name, root, prefix, archive, member)

    def _member(
        self, part: str, root: Path, prefix: str, archive: TarReader, member: tarfile.TarInfo
    ) -> None:
        # PostgreSQL writes some directories with a dot in front.
        name = member.name.rstrip("/").removeprefix("./")
        pieces = name.split("/")
        if name in ("", "."):
            return
        if name.startswith("/") or any(piece in ("", ".", "..") for piece in pieces) or "\0" in name:
            raise _unsafe(part, member.name, "leads out of the data directory")
        if member.isdir():
            root.joinpath(*pieces).mkdir(mode=0o700, parents=True, exist_ok=True)
        elif member.issym():
            link = _LINK.fullmatch(name)
            if link is None or prefix:
                raise _unsafe(part, member.name, "is a link, where a base backup has none")
            self._origin(int(link["oid"]), member.linkname)
        elif member.type in REGULAR:
            self._file(part, root.joinpath(*pieces), prefix + name, archive.content())
        else:
            raise _unsafe(part, member.name, "is neither a file nor a directory")

    def _origin(self, oid: int, place: str) -> None:
        with self._lock:
            self.origins[oid] = place

    def _file(self, part: str, path: Path, name: str, content: Iterator[memoryview]) -> None:
        from crc32c import crc32c

        with self._lock:
            if name in self.files:
                raise _unsafe(part, name, "exists twice in this backup")
            self.files[name] = (0, 0)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        size_bytes = checksum = 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as sink:
            for block in content:
                write_all(sink, block, place=path)
                checksum = crc32c(block, checksum)
                size_bytes += len(block)
        self.files[name] = (size_bytes, checksum)
        if name == TABLESPACE_MAP:
            self._read_map(path)

    def _read_map(self, path: Path) -> None:
        """Its links lead to where the tablespaces were; a server would make them at its start."""
        for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            oid, _, place = line.partition(" ")
            if _OID.fullmatch(oid):
                self._origin(int(oid), place)
        path.unlink()


def link_tablespaces(data: Path, places: dict[int, Path]) -> None:
    """Make ``pg_tblspc`` lead there, and nowhere else."""
    folder = data / "pg_tblspc"
    folder.mkdir(mode=0o700, exist_ok=True)
    for entry in folder.iterdir():
        if entry.is_symlink():
            entry.unlink()
        elif entry.name in map(str, places):
            # That of one that lay in place: empty, what was in it came in an archive of its own.
            entry.rmdir()
    for oid, place in places.items():
        (folder / str(oid)).symlink_to(place)


def _unsafe(part: str, name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"{name!r} in {part} {what}", hint="PostgreSQL did not write this; choose another backup"
    )
