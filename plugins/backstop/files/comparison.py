"""Files on this machine, held against entries of a list: every byte, and all metadata."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from backstop.model.file_tree import EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from backstop.model.file_tree import Chunk, Entry

_BLOCK_BYTES = 1024 * 1024
_BATCH = 256
_KINDS = {
    EntryKind.FILE: stat.S_ISREG,
    EntryKind.DIRECTORY: stat.S_ISDIR,
    EntryKind.SYMLINK: stat.S_ISLNK,
    EntryKind.FIFO: stat.S_ISFIFO,
}


@dataclass(slots=True)
class Comparison:
    """Of what lies below one folder that nobody writes to.

    :param owners: compare owner and group by number; only root can give files away.
    :param xattrs: prefixes of the extended attributes that are compared, ``user.``, ``system.posix_acl_``.
    :param jobs: files read at a time.
    """

    root: Path
    owners: bool
    xattrs: tuple[str, ...]
    jobs: int = 2
    entries: int = 0
    files: int = 0
    content_bytes: int = 0
    _names: dict[tuple[int, int], None] = field(default_factory=dict)

    def differences(self, expected: Iterable[Entry]) -> Iterator[str]:
        """One sentence for each entry that is not as the list says, or not there."""
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            entries = iter(expected)
            with ThreadPoolExecutor(max_workers=max(1, self.jobs), thread_name_prefix="compare") as pool:
                while batch := list(islice(entries, _BATCH)):
                    for wrong in pool.map(lambda entry: _compare(root, entry, self), batch):
                        yield from wrong
                    self._count(batch)
        finally:
            os.close(root)

    def _count(self, batch: list[Entry]) -> None:
        self.entries += len(batch)
        files = [entry for entry in batch if entry.kind is EntryKind.FILE and not entry.hard_link]
        self.files += len(files)
        self.content_bytes += sum(entry.size_bytes for entry in files)


def _compare(root: int, entry: Entry, how: Comparison) -> list[str]:
    name = shown(entry.path)
    try:
        found = os.stat(entry.path, dir_fd=root, follow_symlinks=False)
    except OSError as error:
        return [f"{name} was not restored: {error.strerror}"]
    if not _KINDS[entry.kind](found.st_mode):
        return [f"{name} is no {entry.kind.value} any more"]
    if entry.hard_link:
        return _linked(root, entry, found)
    wrong = [
        f"{name} has {what} {_said(what, got)}, not {_said(what, wanted)}"
        for what, got, wanted in _metadata(entry, found, owners=how.owners)
        if got != wanted
    ]
    wrong += _attributes(root, entry, how.xattrs)
    if entry.kind is EntryKind.SYMLINK:
        if os.readlink(entry.path, dir_fd=root) != entry.link_target:
            wrong.append(f"{name} leads elsewhere")
    elif entry.kind is EntryKind.FILE and found.st_size == entry.size_bytes:
        wrong += _content(root, entry)
    return wrong


def _metadata(
    entry: Entry, found: os.stat_result, *, owners: bool
) -> Iterator[tuple[str, int | tuple[int, int], int | tuple[int, int]]]:
    # Linux gives every symbolic link the same mode.
    if entry.kind is not EntryKind.SYMLINK:
        yield "mode", stat.S_IMODE(found.st_mode), entry.mode
    yield "mtime", found.st_mtime_ns, entry.mtime_ns
    if owners:
        yield "owner", (found.st_uid, found.st_gid), (entry.uid, entry.gid)
    if entry.kind is EntryKind.FILE:
        yield "size", found.st_size, entry.size_bytes


def _said(what: str, value: int | tuple[int, int]) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}:{value[1]}"
    return f"{value:04o}" if what == "mode" else f"{value}"


def _linked(root: int, entry: Entry, found: os.stat_result) -> list[str]:
    with suppress(OSError):
        first = os.stat(entry.hard_link, dir_fd=root, follow_symlinks=False)
        if (first.st_dev, first.st_ino) == (found.st_dev, found.st_ino):
            return []
    return [f"{shown(entry.path)} is no hard link to {shown(entry.hard_link)} any more"]


def _attributes(root: int, entry: Entry, prefixes: tuple[str, ...]) -> list[str]:
    # There is no such call for a name in a folder that is open.
    path = b"/proc/self/fd/%d/" % root + entry.path
    wanted = {name: value for name, value in entry.xattrs if name.startswith(prefixes)}
    found = {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in (_listed(path) if prefixes else ())
        if name.startswith(prefixes)
    }
    names = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return [f"{shown(entry.path)} has another {name}" for name in names]


def _listed(path: bytes) -> list[str]:
    with suppress(OSError):
        return os.listxattr(path, follow_symlinks=False)
    return []


def _content(root: int, entry: Entry) -> list[str]:
    name = shown(entry.path)
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    try:
        end = 0
        for chunk in entry.chunks:
            if _has_data(descriptor, end, chunk.offset):
                return [f"{name} has other content between {end} and {chunk.offset}, where it had none"]
            if _sha256(descriptor, chunk) != chunk.sha256:
                return [
                    f"{name} has other content at {chunk.offset} (piece {chunk.sha256[:16]}, {chunk.pack})"
                ]
            end = chunk.offset + chunk.size_bytes
        if _has_data(descriptor, end, entry.size_bytes):
            return [f"{name} has other content behind {end}, where it had none"]
    finally:
        os.close(descriptor)
    return []


def _sha256(descriptor: int, chunk: Chunk) -> str:
    digest = hashlib.sha256()
    offset, left = chunk.offset, chunk.size_bytes
    while left and (block := os.pread(descriptor, min(left, _BLOCK_BYTES), offset)):
        digest.update(block)
        offset, left = offset + len(block), left - len(block)
    return digest.hexdigest()


def _has_data(descriptor: int, start: int, end: int) -> bool:
    """Whether anything but zeros is there; holes are not read."""
    while start < end:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError:
            return False  # a hole up to the end of the file
        stop = min(end, os.lseek(descriptor, start, os.SEEK_HOLE))
        while start < stop:
            block = os.pread(descriptor, min(stop - start, _BLOCK_BYTES), start)
            if not block or block.count(0) != len(block):
                return True
            start += len(block)
    return False
