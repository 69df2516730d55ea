"""Which entries of a list a restore wants, in the list's order; the list itself is believed nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.trees.pack import refuse_odd_chunk
from backstop.errors import ConfigurationError, IntegrityError
from backstop.files.covering import glob_regex
from backstop.files.exclusion import has_magic
from backstop.model.file_tree import Entry, EntryKind, shown, sort_key

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Sequence

    from backstop.commands.trees.listing import TreeListing


@dataclass(frozen=True, slots=True)
class Selected:
    """One entry.

    :param top: it was asked for itself, not only a folder above it.
    :param above: it was not asked for; it is a folder on the way to what was.
    """

    entry: Entry
    top: bool = False
    above: bool = False


class Selection:
    """What of a list is restored.

    :param only: absolute paths and globs; a folder stands for all below it. Empty: everything.
    :raises ConfigurationError: one of them is not absolute.
    """

    def __init__(self, listing: TreeListing, only: Sequence[str] = ()) -> None:
        self.roots = tuple(sorted((root.path.lstrip(b"/") for root in listing.roots), key=sort_key))
        self.only = tuple(only)
        self._listing = listing
        self._paths: set[bytes] = set()
        self._globs: list[re.Pattern[bytes]] = []
        self._seen: set[bytes] = set()
        for pattern in only:
            if not pattern.startswith("/") or os.path.normpath(pattern) != pattern.rstrip("/"):
                raise ConfigurationError(
                    f"{pattern!r} is no absolute path",
                    hint="write paths and globs as they are on the machine, such as /etc/calibrify/*.conf",
                )
            self._paths.add(os.fsencode(pattern).strip(b"/"))
            if has_magic(pattern):
                self._globs.append(glob_regex(pattern))

    def entries(self) -> Iterator[Selected]:
        """:raises IntegrityError: the list is not what a walk of a tree gives."""
        folders: list[Entry] = []
        covered: bytes | None = None
        for entry in checked(self._listing.entries(), self.roots):
            if entry.path in self._paths:
                self._seen.add(entry.path)
            if covered is not None and entry.path.startswith(covered):
                yield Selected(entry)
                continue
            covered = None
            while folders and not entry.path.startswith(folders[-1].path + b"/"):
                folders.pop()
            if self._asked_for(entry.path):
                yield from (Selected(folder, above=True) for folder in folders)
                folders.clear()
                covered = entry.path + b"/"
                yield Selected(entry, top=True)
            elif entry.kind is EntryKind.DIRECTORY:
                folders.append(entry)

    def absent(self) -> tuple[str, ...]:
        """Paths that were asked for and that :meth:`entries`, once exhausted, had not."""
        return tuple(
            pattern
            for pattern in self.only
            if not has_magic(pattern) and os.fsencode(pattern).strip(b"/") not in self._seen
        )

    def covers(self, path: bytes) -> bool:
        """Whether an entry of that path is selected."""
        parts = path.split(b"/")
        return any(self._asked_for(b"/".join(parts[:end])) for end in range(1, len(parts) + 1))

    def root_of(self, path: bytes) -> bytes:
        """The root that the path is below, or is; empty: none."""
        return max(
            (root for root in self.roots if path == root or path.startswith(root + b"/")),
            key=len,
            default=b"",
        )

    def _asked_for(self, path: bytes) -> bool:
        if not self.only:
            return path in self.roots
        return path in self._paths or any(one.fullmatch(b"/" + path) for one in self._globs)


def checked(entries: Iterable[Entry], roots: Sequence[bytes]) -> Iterator[Entry]:
    """The same entries, once it is certain that each lies in a folder of the list, and each is there once.

    A list that was made to lead elsewhere puts an entry below a link, names one twice, or out of order.

    :raises IntegrityError: this list does.
    """
    folders: list[bytes] = []
    last: tuple[bytes, ...] = ()
    tops = frozenset(roots)
    for entry in entries:
        key = entry.sort_key
        if key <= last:
            raise _odd(entry, "comes twice, or out of order")
        last = key
        while folders and not entry.path.startswith(folders[-1]):
            folders.pop()
        parent = entry.path.rpartition(b"/")[0] + b"/"
        if entry.path not in tops and (not folders or folders[-1] != parent):
            raise _odd(entry, "lies in no folder of the list")
        _check_content(entry)
        if entry.kind is EntryKind.DIRECTORY:
            folders.append(entry.path + b"/")
        yield entry


def _check_content(entry: Entry) -> None:
    try:
        if entry.kind is not EntryKind.FILE and entry.chunks:
            raise ValueError("it has content, and is no file")
        if entry.kind is EntryKind.DIRECTORY and entry.hard_link:
            raise ValueError("a folder has one name")
        if entry.kind is EntryKind.SYMLINK and not entry.link_target:
            raise ValueError("it is a link to nothing")
        for chunk in entry.chunks:
            refuse_odd_chunk(chunk, file_bytes=entry.size_bytes)
    except ValueError as error:
        raise _odd(entry, f"cannot be: {error}") from None


def _odd(entry: Entry, what: str) -> IntegrityError:
    return IntegrityError(
        f"{shown(entry.path)} {what}: Backstop did not write this list of files", hint="choose another backup"
    )
