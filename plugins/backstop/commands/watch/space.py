"""Free space of a file system: what is there, and whether that is enough."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from pathlib import Path

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Space:
    """:param free_bytes: for us, without what is set aside for root.
    :param device: file systems with the same number are the same.
    """

    free_bytes: int
    total_bytes: int
    device: int

    @classmethod
    def at(cls, path: Path) -> Space:
        """Of the file system that holds the path, or that would: what does not exist yet counts as its
        parent. :raises OSError: it does not answer.
        """
        while not path.exists() and path != path.parent:
            path = path.parent
        status = os.statvfs(path)
        return cls(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize, path.stat().st_dev)


def judge_space(
    space: Space, *, target: str, subject: str, where: str, free_space: float, next_bytes: int = 0
) -> tuple[Finding, ...]:
    """:param where: for people, the path.
    :param free_space: with a smaller part free it is a warning; below half of it critical.
    :param next_bytes: what the next backup there is expected to take; without room for it, critical.
    """
    share = space.free_bytes / space.total_bytes if space.total_bytes else 0.0
    no_room = space.free_bytes < next_bytes
    if share >= free_space and not no_room:
        return ()
    said = (
        f"{subject} ({where}) has {_gib(space.free_bytes)} free of {_gib(space.total_bytes)}, {share:.0%}"
        if where not in subject
        else f"{subject} has {_gib(space.free_bytes)} free of {_gib(space.total_bytes)}, {share:.0%}"
    )
    if no_room:
        said += f": no room for a next backup like the newest one, {_gib(next_bytes)}"
    level = Level.CRITICAL if no_room or share < free_space / 2 else Level.WARNING
    return (
        Finding(
            target,
            "space",
            subject,
            level,
            said,
            "enlarge that file system, or let retention keep less; never remove files there by hand",
        ),
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.2f} GiB" if size_bytes < 10 * _GIB else f"{size_bytes / _GIB:.0f} GiB"
