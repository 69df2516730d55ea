"""The list of an earlier backup, read level with a walk; a line is taken apart only where it has to be."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from backstop.files.attributes import group_name, owner_name
from backstop.model.file_tree import (
    Entry,
    EntryKind,
    line_end,
    line_hard_link,
    line_identity,
    line_owner,
    line_path,
    line_times,
    sort_key,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator


_END = line_end(None)
_Owners = dict[tuple[EntryKind, int, int, int], str]


class Listed:
    """One entry of the earlier list, as a line or taken apart.

    :param owners: what lines say of owners and modes, by kind, mode, uid and gid; filled as they are met.
    """

    __slots__ = ("_entry", "_owners", "line", "path_bytes")

    def __init__(self, given: Entry | bytes, owners: _Owners) -> None:
        self.line = given if isinstance(given, bytes) else given.to_line()
        self._entry = None if isinstance(given, bytes) else given
        self._owners = owners
        self.path_bytes = 0
        """How much of the line is its path, once that was compared."""

    @property
    def entry(self) -> Entry:
        """:raises IntegrityError: no line of a list."""
        if self._entry is None:
            self._entry = Entry.from_line(self.line)
        return self._entry

    def is_still(self, kind: EntryKind, status: os.stat_result, hard_link: bytes) -> bool:
        """Whether what lies at its path is what was listed, untouched since: ctime tells of every change.

        Compared as text, which costs a fraction of taking the line apart.
        """
        line = self.line
        # What was skewed, or could have changed behind our back, ends otherwise.
        end = line_identity(status.st_ctime_ns, status.st_ino, status.st_dev) + _END
        if not self.path_bytes or not line.endswith(end.encode()):
            return False
        times = line_times(kind, mtime_ns=status.st_mtime_ns, size_bytes=status.st_size)
        head = f"{self._owner(kind, status)}{times}".encode()
        if not line.startswith(head, self.path_bytes):
            return False
        if kind is not EntryKind.FILE:
            return line.startswith(b",", self.path_bytes + len(head))
        if status.st_nlink < 2:
            return True
        known = line_hard_link(hard_link).encode() if hard_link else b',"hard_link":'
        # A double quote inside of a name is escaped: this is no part of one.
        return (known in line) == bool(hard_link)

    def _owner(self, kind: EntryKind, status: os.stat_result) -> str:
        key = kind, status.st_mode, status.st_uid, status.st_gid
        known = self._owners.get(key)
        if known is None:
            known = self._owners[key] = line_owner(
                kind,
                mode=stat.S_IMODE(status.st_mode),
                uid=status.st_uid,
                gid=status.st_gid,
                owner=owner_name(status.st_uid),
                group=group_name(status.st_gid),
            )
        return known


class Earlier:
    """:param on_removed: told of every entry that the walk has passed without meeting it."""

    def __init__(
        self, given: Iterator[Entry] | Iterator[bytes], on_removed: Callable[[Entry], object]
    ) -> None:
        self._given: Iterator[Entry | bytes] = given
        self._removed = on_removed
        self._owners: _Owners = {}
        self._next = self._advance()

    def at(self, path: bytes) -> Listed | None:
        """The entry of that path; the walk has come to it, and will not go back."""
        listed = self._next
        if listed is None:
            return None
        begin = line_path(path).encode()
        if listed.line.startswith(begin):
            listed.path_bytes = len(begin)
        else:
            key = sort_key(path)
            while listed is not None and listed.entry.sort_key < key:
                self._removed(listed.entry)
                listed = self._advance()
            self._next = listed
            if listed is None or listed.entry.path != path:
                return None
            listed.path_bytes = len(begin) if listed.line.startswith(begin) else 0
        self._next = self._advance()
        return listed

    def rest(self) -> None:
        """The walk has ended."""
        while self._next is not None:
            self._removed(self._next.entry)
            self._next = self._advance()

    def _advance(self) -> Listed | None:
        given = next(self._given, None)
        return Listed(given, self._owners) if given is not None else None
