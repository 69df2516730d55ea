"""What has changed in a file tree since a backup of it, without reading what looks untouched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.files.same_content import has_content_of
from backstop.model.file_tree import Entry, EntryKind, Identity, shown

if TYPE_CHECKING:
    from backstop.files.scan import Scanned

SAMPLE = 50
"""How many changes are named."""
_READ_BYTES = 64 * 1024 * 1024
"""How much is read of files that only look different, when it is not needed to decide."""

Look = Callable[[Callable[[Entry], object]], "Iterator[Scanned]"]
"""Walks the tree beside the list of its backup; what the list alone has is given to the argument."""


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
        same = has_content_of(before)
        if same and len(self._known) < self.limit:
            self._known[now.path] = now.identity, now.mtime_ns
        return same

    def seen(self, now: Entry) -> bool:
        """Whether it was found to hold that content, and has not been touched since."""
        return self._known.get(now.path) == (now.identity, now.mtime_ns)


def find_changes(look: Look, *, known: KnownContent | None = None) -> Changes:
    """Compare a tree with a backup's list of it.

    Times do not count: who touches a file, or saves it as it was, has changed nothing. Files that look
    different are read to find out, but once another difference is known only so many of them: one is enough
    for a backup, which reads them anyway.

    :param look: called once, or twice when nothing but large files looks different.
    :raises SourceError: the tree cannot be walked.
    """
    known = known or KnownContent()
    found = _compared(look, known, budget_bytes=_READ_BYTES)
    if found.unread and not found.count:
        found = _compared(look, known, budget_bytes=None)
    return found.changes()


def _compared(look: Look, known: KnownContent, *, budget_bytes: int | None) -> _Tally:
    """:param budget_bytes: how much is read at most; None: until one difference is known."""
    tally = _Tally()
    for scanned in look(tally.removed_one):
        if scanned.line is not None:
            continue  # untouched
        now, before = scanned.entry, scanned.previous
        if before is None:
            tally.add("added", now)
        elif _differs(now, before):
            tally.add("changed", now)
        elif now.kind is EntryKind.FILE and not now.hard_link and not known.seen(now):
            if budget_bytes is not None:
                budget_bytes -= now.size_bytes
            if (budget_bytes is not None and budget_bytes < 0) or (budget_bytes is None and tally.count):
                tally.not_read(now)
            elif not known.holds(now, before):
                tally.add("changed", now)
    return tally


def _differs(now: Entry, before: Entry) -> bool:
    return any(
        getattr(now, name) != getattr(before, name)
        for name in ("kind", "mode", "uid", "gid", "size_bytes", "xattrs", "link_target", "hard_link")
    )


class _Tally:
    """Counts changes, names the first, and sums up what the changed files look like."""

    def __init__(self) -> None:
        self.counts = {"added": 0, "changed": 0, "removed": 0}
        self.unread = 0
        self._sample: list[str] = []
        self._state = hashlib.sha256()

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def add(self, what: str, entry: Entry) -> None:
        self.counts[what] += 1
        if len(self._sample) < SAMPLE:
            self._sample.append(f"{what} {shown(entry.path)}")
        if entry.kind is EntryKind.DIRECTORY:
            # A folder's times change with what comes and goes in it, which is seen for itself.
            entry = replace(entry, mtime_ns=0, identity=None)
        self._state.update(what.encode() + entry.to_line())

    def removed_one(self, entry: Entry) -> None:
        self.add("removed", entry)

    def not_read(self, entry: Entry) -> None:
        """Only its content can tell; seen in another state, it would be another change."""
        self.unread += 1
        self._state.update(entry.to_line())

    def changes(self) -> Changes:
        state = self._state.hexdigest() if self.count else ""
        return Changes(
            added=self.counts["added"],
            changed=self.counts["changed"],
            removed=self.counts["removed"],
            sample=tuple(self._sample),
            state=state,
        )
