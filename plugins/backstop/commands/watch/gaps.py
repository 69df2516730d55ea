"""What a hole in the stored WAL means, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.model.finding import Finding, Level
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight
    from backstop.commands.watch.spans import Hole
    from backstop.model.lsn import WalSegment
    from backstop.model.observation import WindowSeen


def judge_holes(
    sight: Sight, shelf: Shelf, windows: Sequence[WindowSeen], holes: Sequence[Hole]
) -> Finding | None:
    """One finding a repository, about its newest hole.

    Critical while this repository cannot recover to now and no other one has the segment. A hole behind which
    a newer base backup leads on is a warning: moments in between are lost, and no later ones.
    """
    if not holes:
        return None
    hole = holes[-1]
    elsewhere = _elsewhere(sight, shelf, hole.segment) if hole.segment is not None else None
    reaches_now = any(window.newest for window in windows)
    more = f" (and {len(holes) - 1} more)" if len(holes) > 1 else ""
    if elsewhere:
        next_step = (
            f"`python -m backstop sync-repositories --target {sight.target.name}` brings it from {elsewhere}"
        )
    elif reaches_now:
        next_step = (
            "a newer base backup leads on; find out what was not shipped, or who deletes in "
            f"{shelf.repository.location}"
        )
    else:
        next_step = (
            "take a new base backup now (`python -m backstop take-base-backup --target "
            f"{sight.target.name}`): recovery cannot pass this point"
        )
    return Finding(
        sight.target.name,
        "wal-gap",
        f"WAL in {shelf.name}",
        Level.WARNING if elsewhere or reaches_now else Level.CRITICAL,
        f"WAL in {shelf.name}: {hole.why}{more}",
        next_step,
    )


def _elsewhere(sight: Sight, damaged: Shelf, segment: WalSegment) -> str | None:
    """Another repository that has the segment."""
    systems = {known.manifest.system_id for label, known in damaged.backups.items() if label.kind.physical}
    for name, shelf in sight.shelves.items():
        if shelf is damaged or name not in sight.target.settings.wal_repositories:
            continue
        for system_id in systems:
            archive = WalArchive(shelf.repository.storage, shelf.repository.catalog.target, system_id)
            try:
                if archive.find(segment) is not None:
                    return name
            except BackstopError:
                continue
    return None
