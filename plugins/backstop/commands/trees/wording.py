"""Changes in a file tree as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.file_time import shown_time
from backstop.model.file_tree import EntryKind, shown
from backstop.model.tree_difference import Change

if TYPE_CHECKING:
    from backstop.commands.trees.differences import Occurrence
    from backstop.model.file_tree import Entry
    from backstop.model.tree_difference import Difference

_SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.CONTENT: "M", Change.METADATA: "m"}


def difference_line(difference: Difference) -> str:
    """``M /srv/media/a.jpg  content 120 -> 340 bytes, mode 0644 -> 0600``; a sign, the path, what differs.

    ``+`` added, ``-`` removed, ``M`` other content, ``m`` other metadata only.
    """
    sign, path = _SIGNS[difference.change], shown(difference.path)
    before, after = difference.before, difference.after
    if before is None or after is None:
        there = after or before
        return f"{sign} {path}  {entry_words(there)}" if there else f"{sign} {path}"
    told = ", ".join(_field(name, before, after) for name in difference.fields)
    return f"{sign} {path}  {told}"


def occurrence_row(occurrence: Occurrence) -> list[str]:
    """Label, when the backup finished, what had happened to the path since the one before, what it is."""
    manifest = occurrence.published.manifest
    change = occurrence.change
    told = "" if change is None else change.value
    if occurrence.fields:
        told += f": {', '.join(occurrence.fields)}"
    return [
        manifest.label.text,
        f"{manifest.finished_at:%Y-%m-%d %H:%M:%S}",
        told or "unchanged",
        entry_words(occurrence.entry) if occurrence.entry else "not there",
    ]


def entry_words(entry: Entry) -> str:
    """``file, 1,234 bytes, 0644 www-data:www-data, 2026-11-23 01:00:00.5``."""
    words = [entry.kind.value]
    if entry.hard_link:
        words.append(f"the same as {shown(entry.hard_link)}")
    elif entry.kind is EntryKind.FILE:
        words.append(f"{entry.size_bytes:,} bytes")
    if entry.kind is EntryKind.SYMLINK:
        words.append(f"to {_target(entry)}")
    words += [f"{entry.mode:04o} {_owner(entry)}", shown_time(entry.mtime_ns)]
    return ", ".join(words)


def _field(name: str, before: Entry, after: Entry) -> str:
    if name == "content" and not (before.hard_link or after.hard_link):
        return f"content {before.size_bytes:,} -> {after.size_bytes:,} bytes"
    if name == "kind":
        return f"{before.kind.value} -> {after.kind.value}"
    if name == "mode":
        return f"mode {before.mode:04o} -> {after.mode:04o}"
    if name == "owner":
        words = _owner(before), _owner(after)
        if words[0] == words[1]:
            # The same names, but other numbers behind them.
            words = f"{before.uid}:{before.gid}", f"{after.uid}:{after.gid}"
        return f"owner {words[0]} -> {words[1]}"
    if name == "target":
        return f"target {_target(before)} -> {_target(after)}"
    if name == "mtime":
        return f"mtime {shown_time(before.mtime_ns)} -> {shown_time(after.mtime_ns)}"
    return name


def _owner(entry: Entry) -> str:
    return f"{entry.owner or entry.uid}:{entry.group or entry.gid}"


def _target(entry: Entry) -> str:
    return shown(entry.link_target)[1:] or "nothing"
