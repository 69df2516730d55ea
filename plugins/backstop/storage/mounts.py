"""Whether the disk of a repository is there: without it, its mount point looks like an empty repository."""

from __future__ import annotations

from pathlib import Path

from backstop.errors import StorageUnavailableError

_SYSTEM = Path("/")


def refuse_unmounted(root: Path) -> None:
    """To be asked before each use of a repository that a disk of its own is mounted for.

    :raises StorageUnavailableError: the folder, or the one that it would be made in, lies on the system's own
        file system.
    """
    place = root
    while not place.exists() and place != _SYSTEM:
        place = place.parent
    if place.stat().st_dev == _SYSTEM.stat().st_dev:
        raise StorageUnavailableError(
            f"repository {root} says `mounted: true`, and nothing is mounted there",
            hint="mount its disk; what would be written there now would fill the system's",
        )
