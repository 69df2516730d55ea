"""Reads restored files again and compares them with the list: hashes, metadata, and nothing besides."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from backstop.files.directories import Directories
from backstop.files.metadata import differences
from backstop.files.rename import inode
from backstop.model.file_tree import Entry, EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.progress import Progress
    from backstop.commands.trees.area import Area
    from backstop.commands.trees.layout import Layout, Placement
    from backstop.files.ownership import Ownership
    from backstop.files.shortfalls import Excuses

_BATCH = 256
_AHEAD = 4
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK_BYTES = 1024 * 1024
MOST = 50
"""Differences that are named."""


@dataclass(slots=True)
class Comparison:
    """Of one restore's areas with its list.

    :param excused: metadata that could not be set, by file.
    """

    layout: Layout
    areas: Sequence[Area]
    owner: Ownership
    excused: Excuses
    jobs: int
    progress: Progress
    found: list[str] = field(default_factory=list)
    unreadable: int = 0
    """Files that their own mode keeps this user from reading again."""

    def run(self, entries: Iterator[tuple[Placement, Entry]]) -> tuple[str, ...]:
        """One sentence for each difference, at most :data:`MOST`."""
        with ThreadPoolExecutor(max_workers=max(1, self.jobs), thread_name_prefix="compare") as pool:
            running = []
            while batch := list(islice(entries, _BATCH)):
                running.append(pool.submit(self._batch, batch))
                if len(running) > self.jobs * _AHEAD:
                    running.pop(0).result()
            for future in running:
                future.result()
        return tuple(self.found[:MOST])

    def _batch(self, batch: Sequence[tuple[Placement, Entry]]) -> None:
        folders = [Directories(area.new) for area in self.areas]
        try:
            for placement, entry in batch:
                parts = self.layout.parts(placement, entry.path)
                try:
                    for what in self._entry(folders[placement.place], placement, parts, entry):
                        self.found.append(f"{shown(entry.path)}: {what}")
                except FileNotFoundError:
                    self.found.append(f"{shown(entry.path)} is missing")
                except PermissionError:
                    self.unreadable += 1
        finally:
            for one in folders:
                one.close()

    def _entry(
        self, folders: Directories, placement: Placement, parts: Sequence[bytes], entry: Entry
    ) -> Iterator[str]:
        folder = folders.at(parts[:-1])
        if entry.hard_link:
            with Directories(self.areas[placement.place].new) as others:
                target = self.layout.parts(placement, entry.hard_link)
                other = self.layout.find(entry.hard_link)
                if other is not None:
                    target = self.layout.parts(other, entry.hard_link)
                if inode(folder, parts[-1]) != inode(others.at(target[:-1]), target[-1]):
                    yield f"it is not the same file as {shown(entry.hard_link)}"
            return
        excused = self.excused.of(entry.path)
        yield from differences(folder, parts[-1], entry, owner=self.owner, excused=excused)
        if entry.kind is EntryKind.FILE:
            yield from self._content(folder, parts[-1], entry)

    def _content(self, folder: int, name: bytes, entry: Entry) -> Iterator[str]:
        if not entry.size_bytes:
            return
        descriptor = os.open(name, _READ, dir_fd=folder)
        try:
            end = 0
            for chunk in entry.chunks:
                if not _is_zero(descriptor, end, chunk.offset):
                    yield f"it has content at {end}, where the backup has a hole"
                content = os.pread(descriptor, chunk.size_bytes, chunk.offset)
                if hashlib.sha256(content).hexdigest() != chunk.sha256:
                    yield f"other content in the {chunk.size_bytes} bytes at {chunk.offset}"
                end = chunk.offset + chunk.size_bytes
                self.progress.advance(chunk.size_bytes)
            if not _is_zero(descriptor, end, entry.size_bytes):
                yield f"it has content at {end}, where the backup has a hole"
        finally:
            os.close(descriptor)


def count_names(areas: Sequence[Area]) -> int | None:
    """How many files of any kind are in them; None: a folder's own mode keeps this user from looking.

    By open folders, for a path may be too long for the system.
    """
    try:
        return sum(map(_count_names, areas))
    except PermissionError:
        return None


def _count_names(area: Area) -> int:
    count = 0
    waiting: list[list[bytes]] = [[]]
    with Directories(area.new) as folders:
        while waiting:
            parts = waiting.pop()
            with os.scandir(folders.at(parts)) as found:
                for one in found:
                    count += 1
                    if one.is_dir(follow_symlinks=False):
                        waiting.append([*parts, os.fsencode(one.name)])
    return count


def _is_zero(descriptor: int, start: int, end: int) -> bool:
    """Whether there are zeros alone; a hole is not read, however large."""
    while start < end:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError:
            return True
        if start >= end:
            return True
        block = os.pread(descriptor, min(_BLOCK_BYTES, end - start), start)
        if block.strip(b"\0"):
            return False
        start += len(block)
        if not block:
            return True
    return True
