"""Finds a restore point or the end of a transaction in stored WAL before a recovery to it begins.

A recovery that does not meet its target replays everything and ends in an error. A restore point may lie
anywhere, so all WAL is read for it, the newest first. Transactions are numbered as they begin, and the
server notes from time to time which are running: a search by halves leaves little to be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.recovery_look import (
    XIDS,
    Look,
    Sighting,
    nearest_names,
    nearest_transactions,
    precedes,
)
from backstop.postgres.wal_landmarks import RestorePoint, RunningTransactions, TransactionEnd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.recovery.stored_wal import WalStretch

MOST_BYTES = 32 * 1024 * 1024 * 1024
"""How much WAL is read in one search: some minutes of work. Behind that, recovery itself has to look."""

_NEAR = 4
_MOST_POINTS = 1000
_SHOWN = 5
_PROBE_SEGMENTS = 4


@dataclass(slots=True)
class _Search:
    stretches: Sequence[WalStretch]
    most_bytes: int
    cut_short: bool = field(default=False)

    def spent(self) -> bool:
        if sum(stretch.fetched_bytes for stretch in self.stretches) >= self.most_bytes:
            self.cut_short = True
        return self.cut_short

    @property
    def complete(self) -> bool:
        return not self.cut_short and all(stretch.readable for stretch in self.stretches)

    @property
    def where(self) -> str:
        # From the old to the new, as one reads.
        return ", and ".join(stretch.words for stretch in reversed(self.stretches))

    def in_vain(self, target: str, why: str, others: tuple[Sighting, ...]) -> Look:
        """:raises BackstopError: a segment could not be had, and may be the one."""
        for stretch in self.stretches:
            if stretch.problem is not None:
                raise stretch.problem
        if self.cut_short:
            why = f"{target} was not met in the first {self.most_bytes} bytes that were looked through"
        elif not self.complete:
            why = f"WAL {self.where} cannot be read without a break"
        return Look(None, others, self.complete, why)


def look_for_restore_point(
    name: str, stretches: Sequence[WalStretch], *, most_bytes: int = MOST_BYTES
) -> Look:
    """Where the newest of that name lies.

    :param stretches: all WAL in reach, the newest first.
    """
    search = _Search(stretches, most_bytes)
    points: dict[str, Sighting] = {}
    for stretch, first, last in _backwards(search):
        for landmark in reversed(stretch.read(first, last, ("XLOG",))):
            if not isinstance(landmark, RestorePoint):
                continue
            sighting = Sighting(f"name:{landmark.name}", landmark.lsn)
            if landmark.name == name:
                says = f"restore point {name} lies at {landmark.lsn}; it is the newest of that name"
                return Look(sighting, tuple(points.values()), True, says)
            if len(points) < _MOST_POINTS:
                points.setdefault(landmark.name, sighting)
    others = nearest_names(name, points.values())
    there = ", ".join(other.target.partition(":")[2] for other in others[:_SHOWN])
    there += f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    why = f"no restore point of that name is in the WAL that is stored, {search.where}; "
    why += f"there are {there}" if there else "there is none at all"
    return search.in_vain(f"name:{name}", why, others)


def look_for_transaction(xid: int, stretches: Sequence[WalStretch], *, most_bytes: int = MOST_BYTES) -> Look:
    """Where the transaction was committed or rolled back.

    :param stretches: all WAL in reach, the newest first.
    """
    search = _Search(stretches, most_bytes)
    wanted = xid % XIDS
    near: tuple[Sighting, ...] = ()
    for end in (end for stretch in stretches for end in _ends_around(wanted, stretch, search)):
        what = "committed" if end.committed else "rolled back"
        if end.xid == wanted:
            # In the words of whoever asked: with the upper half, if it was given.
            found = Sighting(f"xid:{xid}", end.lsn)
            return Look(found, near, True, f"transaction {xid} was {what} at {end.lsn}")
        sighting = Sighting(f"xid:{end.xid}", end.lsn)
        if wanted in end.parts:
            says = f"it is a part of transaction {end.xid}, which was {what} at {end.lsn}"
            return Look(None, (sighting, *near), True, says)
        if end.committed:
            near = nearest_transactions(wanted, [*near, sighting])[:_NEAR]
    why = "nothing in the WAL that is stored ends it: it was not begun by then, or under way"
    return search.in_vain(f"xid:{xid}", f"{why}; looked through was {search.where}", near)


def _backwards(search: _Search) -> Iterator[tuple[WalStretch, int, int]]:
    for stretch in search.stretches:
        last = stretch.last
        while last >= stretch.first and not search.spent():
            first = max(stretch.first, last - stretch.together + 1)
            yield stretch, first, last
            last = first - 1


def _ends_around(xid: int, stretch: WalStretch, search: _Search) -> Iterator[TransactionEnd]:
    """All from where it cannot have ended yet to where it must have."""
    first, last = _last_before(xid, stretch), _first_behind(xid, stretch)
    while first <= last and not search.spent():
        until = min(last, first + stretch.together - 1)
        for landmark in stretch.read(first, until, ("Transaction",)):
            if isinstance(landmark, TransactionEnd):
                yield landmark
        first = until + 1


def _last_before(xid: int, stretch: WalStretch) -> int:
    """The last segment of which is shown that the number was not given out before it."""
    low, high = stretch.first, stretch.last
    while high - low > stretch.together:
        middle = (low + high + 1) // 2
        unborn = [seen for seen in _notes(stretch, middle) if not precedes(xid, seen.next_xid)]
        if unborn:
            low = unborn[-1].lsn.position // stretch.route.segment_bytes
        else:
            high = middle - 1
    return low


def _first_behind(xid: int, stretch: WalStretch) -> int:
    """The first segment of which is shown that the transaction had ended within it or before."""
    low, high = stretch.first, stretch.last
    while high - low > stretch.together:
        middle = (low + high) // 2
        over = [seen for seen in _notes(stretch, middle) if precedes(xid, seen.oldest_xid)]
        found = over[0].lsn.position // stretch.route.segment_bytes if over else high
        if found < high:
            high = found
        else:
            low = middle + 1
    return high


def _notes(stretch: WalStretch, number: int) -> list[RunningTransactions]:
    """From a segment on, the first notes of which transactions were running; none when none is near."""
    for ahead in range(number, min(stretch.last, number + _PROBE_SEGMENTS - 1) + 1):
        found = [
            seen for seen in stretch.read(ahead, ahead, ("Standby",)) if isinstance(seen, RunningTransactions)
        ]
        if found:
            return found
    return []
