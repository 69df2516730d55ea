"""Where dumps, WAL and verifications lie on their way: room there, and what dead processes left behind."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from backstop.commands import staging
from backstop.commands.watch.part import Part, ScratchSeen
from backstop.commands.watch.space import Space, judge_space
from backstop.model.finding import Finding, Level
from backstop.postgres import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

LEFT_FOR = timedelta(hours=1)
"""Younger left-overs may be of a run that is just ending, or that is about to be tried again."""
_MOST_ENTRIES = 20_000
_BLOCK_BYTES = 512
_MIB = 1024**2


def look_at_spools(
    *,
    target: str,
    spools: Collection[Path],
    repositories: Collection[Path] = (),
    free_space: float,
    clock: Callable[[], datetime],
) -> Part:
    """Free space, once a file system, and folders whose owner is dead: its lock is free.

    :param spools: folders that runs of this target make their own in.
    :param repositories: folders of repositories: room on their file systems is told as theirs.
    :param free_space: as ``watch.free_space`` in targets.yaml.
    """
    told = {space.device for path in repositories if (space := _space(path))}
    findings: list[Finding] = []
    unseen: list[str] = []
    unjudged: set[tuple[str, str]] = set()
    left_bytes = 0
    for path in sorted(set(spools)):
        space, subject = _space(path), f"spool {path}"
        if space is None:
            unseen.append(f"{subject} does not answer")
            unjudged |= {("space", subject), ("scratch", f"scratch {path}")}
        elif space.device not in told:
            told.add(space.device)
            findings += judge_space(
                space, target=target, subject=subject, where=str(path), free_space=free_space
            )
        size_bytes, left = _left_behind(path, clock())
        left_bytes += size_bytes
        if left:
            findings.append(_leftovers(target, path, left, size_bytes))
    return Part((ScratchSeen(left_bytes),), tuple(findings), tuple(unseen), frozenset(unjudged))


def _left_behind(parent: Path, now: datetime) -> tuple[int, list[Path]]:
    """How many bytes, in which folders; a lower bound where there are very many files."""
    old = [
        folder
        for folder in {*staging.left_behind(parent), *scratch.left_behind(parent)}
        if now - _changed_at(folder) > LEFT_FOR
    ]
    size_bytes, entries = 0, 0
    for folder in old:
        for directory, _, names in os.walk(folder):
            entries += len(names) + 1
            if entries > _MOST_ENTRIES:
                return size_bytes, old
            size_bytes += sum(_size(os.path.join(directory, name)) for name in names)  # noqa: PTH118
    return size_bytes, old


def _changed_at(folder: Path) -> datetime:
    try:
        return datetime.fromtimestamp(folder.stat().st_mtime, tz=timezone.utc)
    except OSError:
        return datetime.now(timezone.utc)  # somebody has just removed it


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * _BLOCK_BYTES
    except OSError:
        return 0


def _space(path: Path) -> Space | None:
    try:
        return Space.at(path)
    except OSError:
        return None


def _leftovers(target: str, parent: Path, left: list[Path], size_bytes: int) -> Finding:
    names = ", ".join(sorted(folder.name for folder in left)[:3])
    return Finding(
        target,
        "scratch",
        f"scratch {parent}",
        Level.WARNING,
        f"{len(left)} folder{'s' if len(left) > 1 else ''} in {parent} ({names}), {size_bytes // _MIB} MiB, "
        "belong to processes that are gone",
        "the next backup or verification that works there removes them; if they stay, see whose they are",
    )
