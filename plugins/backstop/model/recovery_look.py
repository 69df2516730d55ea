"""What was found in stored WAL by somebody who looked for a restore point or a transaction."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backstop.model.lsn import Lsn

XIDS = 1 << 32
"""Transaction ids in WAL have 32 bits and go round; ``pg_current_xact_id()`` shows 64."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A record that a recovery can stop at.

    :param target: as a recovery target is written: ``name:before``, ``xid:4711``.
    :param lsn: where the record begins.
    """

    target: str
    lsn: Lsn


@dataclass(frozen=True, slots=True)
class Look:
    """The result of one search.

    :param found: what was looked for; the newest of its name. None when it was not seen.
    :param others: of the same kind, the nearest first.
    :param complete: whether all WAL was looked at in which it could lie.
    :param says: what was looked at, as a sentence.
    """

    found: Sighting | None
    others: tuple[Sighting, ...]
    complete: bool
    says: str

    @property
    def positions(self) -> Mapping[str, Lsn]:
        seen = (*self.others, self.found) if self.found else self.others
        return {sighting.target: sighting.lsn for sighting in seen}


def nearest_names(wanted: str, points: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """Names that look like the one that was wanted, then the newest ones."""
    by_name = {point.target.partition(":")[2]: point for point in sorted(points, key=lambda one: one.lsn)}
    alike = difflib.get_close_matches(wanted, by_name, n=3, cutoff=0.5)
    rest = [name for name in reversed(by_name) if name not in alike]
    return tuple(by_name[name] for name in (*alike, *rest))


def nearest_transactions(wanted: int, ends: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """By number, which is the order in which they began to write."""
    return tuple(sorted(ends, key=lambda end: _distance(wanted, int(end.target.partition(":")[2]))))


def precedes(xid: int, other: int) -> bool:
    """Whether it was given out earlier, as PostgreSQL compares: in a circle, over half of it at most."""
    return (xid - other) % XIDS >= XIDS // 2


def _distance(xid: int, other: int) -> int:
    ahead = (xid - other) % XIDS
    return min(ahead, XIDS - ahead)
