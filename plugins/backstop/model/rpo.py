"""The observed RPO: how much of the source's past would be lost now, measured at the repository."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.model.lsn import Lsn


@dataclass(frozen=True, order=True, slots=True)
class WalPosition:
    """A position and the timeline it is meant on. Later timelines are further on, whatever the position: a
    repository that holds more of an old timeline has nothing of what a promoted server writes."""

    timeline: int
    lsn: Lsn


@dataclass(frozen=True, slots=True)
class ServerPosition:
    """What the server had written at a moment, by its own clock.

    Every message of a WAL stream says so: its end of WAL and its server time.
    """

    at: datetime
    written: WalPosition


@dataclass(frozen=True, slots=True)
class ObservedRpo:
    """Commits up to this long ago may be lost.

    :param at_least: the true value may be larger: no observation is old enough to tell.
    """

    duration: timedelta
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'at least ' if self.at_least else ''}{self.duration.total_seconds():.1f} s"


def observed_rpo(
    repository: WalPosition | None, observed: Iterable[ServerPosition], now: datetime
) -> ObservedRpo | None:
    """Time since the newest observation of the server whose WAL the repository has all of.

    Zero when that is the current position, however long ago the last commit was: an idle database is no
    alarm. WAL that is not stored was written after that observation, so what is reported is never too small;
    it is too large by at most the time between two observations.

    :param repository: the first position it does not hold, counted without a gap; None when it holds nothing.
    :param observed: in any order; the newest should be as old as ``now``, or its age counts as loss.
    :param now: by the server's clock.
    :returns: None without any observation: nothing is known.
    """
    oldest: datetime | None = None
    covered: datetime | None = None
    for position in observed:
        oldest = position.at if oldest is None else min(oldest, position.at)
        if repository is not None and position.written <= repository:
            covered = position.at if covered is None else max(covered, position.at)
    if oldest is None:
        return None
    since = oldest if covered is None else covered
    return ObservedRpo(max(now - since, timedelta(0)), at_least=covered is None)
