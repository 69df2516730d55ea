"""What has changed in a file tree since a backup of it, without reading what looks untouched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import tee
from typing import TYPE_CHECKING, Any

from backstop.files.same_content import has_content_of
from backstop.model.file_tree import Entry, EntryKind, Identity, shown

if TYPE_CHECKING:
    from backstop.files.scan import Scanned

SAMPLE = 50
"""How many changes are named."""

Scan = Callable[[Iterator[Entry]], "Iterator[Scanned]"]
"""Walks the tree as it is now, given the entries of the backup: ``files.scan.scan`` with its rules."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How a tree differs from a backup of it; false when it does not.

    :param sample: the first of them, such as ``changed /etc/app/app.conf``.
    :param state: equal when the same changes are seen again, different when anything has changed since.
    :param problem: why nobody can tell what has changed; a backup will find the same obstacle, or none.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    sample: tuple[str, ...] = ()
    state: str = ""
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.problem)

    def __str__(self) -> str:
        if self.problem:
            return f"nobody can tell: {self.problem}"
        counts = (("added", self.added), ("changed", self.changed), ("removed", self.removed))
        return ", ".join(f"{count} {name}" for name, count in counts if count) or "nothing changed"

    def to_dict(self) -> dict[str, Any]:
        return {
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "sample": list(self.sample),
            "problem": self.problem,
        }


def unknown(problem: str) -> Changes:
    """Something stands in the way of telling."""
    return Changes(problem=problem, state=hashlib.sha256(problem.encode()).hexdigest())


@dataclass(slots=True)
class KnownContent:
    """Files that look changed and were found to hold what the backup lists: not read a second time."""

    limit: int = 50_000
    _known: dict[bytes, tuple[Identity | None, int]] = field(default_factory=dict)

    def holds(self, now: Entry, before: Entry) -> bool:
        """Whether the file's content is that of the backup; :param now: what it looks like."""
        looks = now.identity, now.mtime_ns
        if self._known.get(now.path) == looks:
            return True
        same = has_content_of(before)
        if same and len(self._known) < self.limit:
            self._known[now.path] = looks
        return same


def find_changes(
    scan: Scan, listed: Callable[[], Iterator[Entry]], *, known: KnownContent | None = None
) -> Changes:
    """Compare a tree with a backup's list of it.

    Times do not count: who touches a file, or saves it as it was, has changed nothing. Files that look
    different are read, but only while no other difference has been found: one is enough for a backup, which
    reads them anyway.

    :param listed: gives the backup's entries, in their order, each time it is called.
    :raises SourceError: a path of the tree does not exist.
    """
    known = known or KnownContent()
    plain = _Tally()
    suspects = 0
    for now, before, unchanged in _pairs(scan, listed):
        if now is None or before is None or _differs(now, before):
            plain.add(now, before)
        elif _suspect(now, before, unchanged=unchanged):
            suspects += 1
            plain.note(now)
    if plain.count or not suspects:
        return plain.changes()
    read = _Tally()
    for now, before, unchanged in _pairs(scan, listed):
        if now is None or before is None or _differs(now, before):
            read.add(now, before)  # it has changed since the first look
        elif _suspect(now, before, unchanged=unchanged):
            read.note(now)
            if not read.count and not known.holds(now, before):
                read.add(now, before)
    return read.changes()


def _pairs(
    scan: Scan, listed: Callable[[], Iterator[Entry]]
) -> Iterator[tuple[Entry | None, Entry | None, bool]]:
    """Each path once: what it is now, what it was, whether they look the same."""
    given, own = tee(listed())
    before = next(own, None)
    for scanned in scan(given):
        now = scanned.entry
        while before is not None and before.sort_key < now.sort_key:
            yield None, before, False
            before = next(own, None)
        if before is not None and before.path == now.path:
            yield now, before, scanned.unchanged is not None
            before = next(own, None)
        else:
            yield now, None, False
    while before is not None:
        yield None, before, False
        before = next(own, None)


def _differs(now: Entry, before: Entry) -> bool:
    return any(
        getattr(now, name) != getattr(before, name)
        for name in ("kind", "mode", "uid", "gid", "size_bytes", "xattrs", "link_target", "hard_link")
    )


def _suspect(now: Entry, before: Entry, *, unchanged: bool) -> bool:
    """Whether only its content can tell."""
    return now.kind is EntryKind.FILE and not now.hard_link and (before.skewed or not unchanged)


class _Tally:
    """Counts changes, names the first, and sums up what the changed files look like."""

    def __init__(self) -> None:
        self.added = self.changed = self.removed = 0
        self._sample: list[str] = []
        self._state = hashlib.sha256()

    @property
    def count(self) -> int:
        return self.added + self.changed + self.removed

    def add(self, now: Entry | None, before: Entry | None) -> None:
        found = now or before
        if found is None:
            return
        what = "removed" if now is None else "added" if before is None else "changed"
        setattr(self, what, getattr(self, what) + 1)
        if len(self._sample) < SAMPLE:
            self._sample.append(f"{what} {shown(found.path)}")
        self._state.update(what.encode())
        self.note(found)

    def note(self, entry: Entry) -> None:
        """It may count, too: seen in another state, it is another change."""
        if entry.kind is EntryKind.DIRECTORY:
            # A folder's times change with what comes and goes in it, which is seen for itself.
            entry = replace(entry, mtime_ns=0, identity=None)
        self._state.update(entry.to_line())

    def changes(self) -> Changes:
        state = self._state.hexdigest() if self.count else ""
        return Changes(self.added, self.changed, self.removed, tuple(self._sample), state)
