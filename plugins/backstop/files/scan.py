"""Looks through a file tree beside the list of an earlier backup: what is there, is new, has gone."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from backstop.files.attributes import entry_of, forget_names
from backstop.files.earlier import Earlier
from backstop.files.exclusion import Exclusion
from backstop.files.roots import Root, find_roots
from backstop.files.sorted_walk import Found, Skipped, SortedWalk
from backstop.model.file_tree import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from backstop.files.earlier import Listed
    from backstop.model.file_tree import Entry

__all__ = ["Root", "Scanned", "Skipped", "find_roots", "scan"]

_Links = dict[tuple[int, int, int, int], tuple[bytes, int]]
"""A file with several names: the first of them, and how many are still to come."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Scanned:
    """One file, folder, link or FIFO. To be opened before the next one is asked for, or not at all.

    :param hard_link: path of the first entry that is the same file; empty for that one itself.
    :param line: of the earlier list, when what is there is the file that it lists, untouched since.
    """

    __slots__ = ("_entry", "_found", "_links", "_listed", "hard_link", "line")

    def __init__(self, found: Found, listed: Listed | None, hard_link: bytes, links: _Links) -> None:
        self._found = found
        self._links = links
        self._listed = listed
        self._entry: Entry | None = None
        self.hard_link = hard_link
        still = listed is not None and listed.is_still(found.kind, found.status, hard_link)
        self.line = listed.line if still and listed is not None else None

    @property
    def path(self) -> bytes:
        return self._found.path

    @property
    def kind(self) -> EntryKind:
        return self._found.kind

    @property
    def size_bytes(self) -> int:
        """Of a file; else 0."""
        return self._found.status.st_size if self.kind is EntryKind.FILE else 0

    @property
    def previous(self) -> Entry | None:
        """The entry of the same path in the earlier list."""
        return self._listed.entry if self._listed is not None else None

    @property
    def unchanged(self) -> Entry | None:
        """The same, when what is there is that file, untouched since."""
        return self.previous if self.line is not None else None

    @property
    def entry(self) -> Entry:
        """What is there, without its content; of something unchanged, the entry of the earlier list."""
        if self._entry is None:
            self._entry = self.unchanged or self._describe()
        return self._entry

    def open(self) -> int:
        """A descriptor of the file, for the caller to close.

        Reading it does not count as an access, where the system lets us say so.

        :raises OSError: it cannot be opened, or has gone.
        """
        try:
            descriptor = self._open()
        except OSError:
            self._let_go_of_links()
            raise
        if self._found.status.st_nlink > 1 and _inode(os.fstat(descriptor)) != _inode(self._found.status):
            self._let_go_of_links()
        return descriptor

    def _let_go_of_links(self) -> None:
        """Its name leads elsewhere by now: the next name of the file that it was has the content."""
        self._links.pop(_same_file(self._found.status), None)

    def _open(self) -> int:
        name, folder = self._found.name, self._found.folder
        # For the owner and for root only.
        with suppress(PermissionError):
            return os.open(name, _FILE | os.O_NOATIME, dir_fd=folder)
        return os.open(name, _FILE, dir_fd=folder)

    def _describe(self) -> Entry:
        found = self._found
        where: int | bytes = found.descriptor
        target = b""
        if found.descriptor == -1:
            # There is no call that takes a folder and a name for extended attributes.
            where = b"/proc/self/fd/%d/%b" % (found.folder, found.name)
        if found.kind is EntryKind.SYMLINK:
            target = os.readlink(found.name, dir_fd=found.folder)
        return entry_of(
            found.path, found.kind, found.status, where, link_target=target, hard_link=self.hard_link
        )


def scan(
    roots: Sequence[Root],
    *,
    exclude: Sequence[str] = (),
    one_file_system: bool = False,
    previous: Iterator[Entry] | Iterator[bytes] | None = None,
    on_skip: Callable[[Skipped], object],
    on_removed: Callable[[Entry], object] | None = None,
) -> Iterator[Scanned]:
    """Everything in the tree, in the order of a list.

    :param exclude: globs, as in targets.yaml.
    :param previous: an earlier list, in its order, or its lines; read as far as the walk is.
    :param on_skip: told of what is not kept, cannot be read, or went away.
    :param on_removed: told of what the earlier list has and the tree no longer.
    :raises ConfigurationError: a glob that can match nothing.
    """
    forget_names()
    walk = SortedWalk(
        roots,
        exclusion=Exclusion(exclude),
        one_file_system=one_file_system,
        on_skip=on_skip,
    )
    earlier = Earlier(previous or iter(()), on_removed or (lambda entry: None))
    links: _Links = {}
    for found in walk:
        hard_link = _hard_link(found, links) if found.status.st_nlink > 1 else b""
        yield Scanned(found, earlier.at(found.path), hard_link, links)
    earlier.rest()


def _hard_link(found: Found, links: _Links) -> bytes:
    """Path of the first entry that is the same file; empty for that one itself."""
    status = found.status
    if found.kind is not EntryKind.FILE:
        return b""
    key = _same_file(status)
    first, left = links.pop(key, (b"", status.st_nlink))
    if left > 1:
        # Kept only until the last name of it has been met.
        links[key] = first or found.path, left - 1
    return first


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _same_file(status: os.stat_result) -> tuple[int, int, int, int]:
    """With size and time: during a walk, an inode may go and come again as another file's."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
