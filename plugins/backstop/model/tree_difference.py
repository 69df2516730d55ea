"""What differs between two lists of a file tree. Pure, one pass: both are in the order of a walk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from backstop.model.file_tree import EntryKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from backstop.model.file_tree import Entry


class Change(str, Enum):
    """What became of one path."""

    ADDED = "added"
    REMOVED = "removed"
    CONTENT = "content"
    """Its bytes, what a link leads to, or its kind."""
    METADATA = "metadata"
    """Only who owns it, what may be done with it, or its times."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not the same in both lists.

    :param fields: what differs, where both have it: ``kind``, ``content``, ``target``, ``hard link``,
        ``mode``, ``owner``, ``xattrs``, ``mtime``.
    """

    path: bytes
    change: Change
    before: Entry | None
    after: Entry | None
    fields: tuple[str, ...] = ()


def differences(before: Iterable[Entry], after: Iterable[Entry]) -> Iterator[Difference]:
    """Everything that differs, in the order of a walk.

    A folder with nothing but another ``mtime`` is left out: it follows from what was put into it. Memory
    grows with the number of files whose content changed, since hard links name them.
    """
    rewritten: set[bytes] = set()
    for old, new in _merge(before, after):
        if old is None or new is None:
            there = new or old
            assert there is not None  # noqa: S101 one of a pair is always there
            yield Difference(there.path, Change.REMOVED if new is None else Change.ADDED, old, new)
            continue
        fields = changed_fields(old, new)
        if old.hard_link and old.hard_link == new.hard_link and old.hard_link in rewritten:
            fields = ("content", *fields)
        if "content" in fields:
            rewritten.add(new.path)
        if fields and not (new.kind is EntryKind.DIRECTORY and fields == ("mtime",)):
            yield Difference(new.path, change_of(fields), old, new, fields)


def changed_fields(before: Entry, after: Entry) -> tuple[str, ...]:
    """What differs between two entries of one path (see :class:`Difference`)."""
    compared = {
        "kind": (before.kind, after.kind),
        "content": (_content(before, after), _content(after, before)),
        "target": (before.link_target, after.link_target),
        "hard link": (before.hard_link, after.hard_link),
        "mode": (before.mode, after.mode),
        "owner": (_owner(before), _owner(after)),
        "xattrs": (before.xattrs, after.xattrs),
        "mtime": (before.mtime_ns, after.mtime_ns),
    }
    return tuple(name for name, (old, new) in compared.items() if old != new)


def change_of(fields: Collection[str]) -> Change:
    """How deep a change is that has these fields."""
    deep = any(field in fields for field in ("kind", "content", "target"))
    return Change.CONTENT if deep else Change.METADATA


def _content(entry: Entry, other: Entry) -> tuple[object, ...]:
    """The pieces, whatever pack they lie in.

    The pieces of a hard link are another entry's: a file that became one, or was one, is judged by its time.
    """
    if entry.kind is not EntryKind.FILE:
        return ()
    if entry.hard_link or other.hard_link:
        return () if entry.hard_link and other.hard_link else (entry.mtime_ns,)
    return (entry.size_bytes, *((one.offset, one.size_bytes, one.sha256) for one in entry.chunks))


def _owner(entry: Entry) -> tuple[object, ...]:
    return (entry.uid, entry.gid, entry.owner, entry.group)


def _merge(before: Iterable[Entry], after: Iterable[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    older, newer = iter(before), iter(after)
    old, new = next(older, None), next(newer, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.sort_key < new.sort_key):
            yield old, None
            old = next(older, None)
        elif old is None or new.sort_key < old.sort_key:
            yield None, new
            new = next(newer, None)
        else:
            yield old, new
            old, new = next(older, None), next(newer, None)
