"""Removes the WAL that nothing needs, a bounded number of names in memory at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.commands.expiry.report import ExpiryReport
    from backstop.commands.expiry.wal import UnneededWal
    from backstop.commands.progress import Progress
    from backstop.storage.base import ObjectVersion, Storage, Undeleted

_BATCH = 1000
ROUND = 50_000


def remove_wal(
    unneeded: UnneededWal,
    *,
    storage: Storage,
    ensure_held: Callable[[], None],
    obstacle: Callable[[], str | None],
    report: ExpiryReport,
    progress: Progress,
    at_most: int | None = None,
) -> None:
    """Go on until nothing is left but what the storage has locked.

    :param obstacle: looks, right before each batch goes, for what speaks against it: then the rest waits.
    :param at_most: so many objects, the oldest; the rest waits for a plan that shows them.
    """
    locked: dict[tuple[str, str | None], Undeleted] = {}
    # A listing that goes on while what it lists is removed may skip some: list, remove, list again. What goes
    # is the oldest and comes first, so little is listed twice.
    while len(locked) < ROUND:
        gone = report.wal.objects + len(locked)
        room = ROUND if at_most is None else max(min(ROUND, at_most - gone), 0)
        left = _not_in(locked, unneeded.versions())
        found = list(islice(left, room))
        for start in range(0, len(found), _BATCH):
            ensure_held()
            if why := obstacle():
                report.waiting.append(f"WAL: no more goes, because {why}")
                return
            batch = found[start : start + _BATCH]
            refused = storage.delete_many((one.key, one.version_id) for _, one in batch)
            locked |= {(one.key, one.version_id): one for one in refused}
            for _, version in batch:
                if (version.key, version.version_id) not in locked:
                    report.wal.add(version.size_bytes)
                    report.free("wal", version.size_bytes)
                    progress.advance(version.size_bytes)
        if len(found) < ROUND:
            if len(found) == room and next(left, None) is not None:
                report.waiting.append("more WAL has come of age than the plan showed: it waits")
            break
    if locked:
        report.locked["WAL"] = list(locked.values())


def _not_in(
    locked: dict[tuple[str, str | None], Undeleted], versions: Iterator[tuple[str, ObjectVersion]]
) -> Iterator[tuple[str, ObjectVersion]]:
    return (pair for pair in versions if (pair[1].key, pair[1].version_id) not in locked)
