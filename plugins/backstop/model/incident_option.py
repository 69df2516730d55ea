"""One way back after a disaster: what it brings back from where, what it loses, how long it takes. Pure.

A *reach* is what one repository can bring one component back to: a single moment (a dump, a backup of files),
or every moment of a recovery window. An *option* takes one reach for each component that is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.observation import ForecastSeen

if TYPE_CHECKING:
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Reach:
    """What one repository can bring one component back to.

    :param component: ``base``, ``dump``, ``tree:<name>``. :param label: the backup it begins with.
    :param begins_at: and :param ends_at: the moments; the same where there is just one.
    :param stored_at: when the backup was complete: after an attack nothing later is trusted.
    :param proven: the newest verification of this backup in this repository matched.
    :param doubt: why it must not be used (the newest verification failed, it is damaged); empty: nothing is
        known against it.
    :param rank: of the repository: the cheapest is 0.
    :param timeline: of a recovery window.
    :param behind: at most so much was not stored there at the loss, as somebody who watched saw it; None:
        nobody did. :param behind_says: in words.
    """

    component: str
    repository: str
    label: str
    begins_at: datetime
    ends_at: datetime
    stored_at: datetime
    proven: bool = False
    doubt: str = ""
    bytes: int = 0
    segments: int = 0
    forecast: ForecastSeen | None = None
    rank: int = 0
    timeline: int | None = None
    behind: timedelta | None = None
    behind_says: str = ""

    def at(self, moment: datetime | None) -> datetime:
        """The latest state not after that moment that it leads to."""
        return self.ends_at if moment is None else min(moment, self.ends_at)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A component that is to come back. :param rto: and :param rpo: objectives, or None."""

    component: str
    rto: timedelta | None = None
    rpo: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One component's share of an option. :param to: the moment whose state comes back."""

    reach: Reach
    to: datetime
    point: str
    loss: timedelta
    rto: timedelta | None
    rpo: timedelta | None

    @property
    def component(self) -> str:
        return self.reach.component

    @property
    def seen(self) -> bool:
        """The loss was seen by a watch, and not only bounded by when WAL was stored."""
        return self.reach.behind is not None and self.to == self.reach.ends_at

    @property
    def measured(self) -> timedelta | None:
        """What counts as the loss in the end; None: it is only bounded, and too loosely to say."""
        loosely = self.reach.timeline is not None and not self.seen
        return None if loosely and self.rpo is not None and self.loss > self.rpo else self.loss


@dataclass(frozen=True, slots=True)
class Option:
    """One way back.

    :param impossible: components it cannot bring back, a sentence each.
    :param risk: what somebody who chooses it should know, a sentence each.
    """

    id: str
    title: str
    parts: tuple[Part, ...]
    impossible: tuple[str, ...]
    risk: tuple[str, ...] = ()
    recommended: bool = False
    because: str = ""

    @property
    def complete(self) -> bool:
        return bool(self.parts) and not self.impossible

    @property
    def loss(self) -> timedelta | None:
        return max((part.loss for part in self.parts), default=None)

    @property
    def forecast(self) -> ForecastSeen | None:
        """One component after another; None while one of them is not known."""
        known = [part.reach.forecast for part in self.parts if part.reach.forecast is not None]
        if not known or len(known) != len(self.parts):
            return None
        return ForecastSeen(
            median_seconds=round(sum(one.median_seconds for one in known), 3),
            low_seconds=round(sum(one.low_seconds for one in known), 3),
            high_seconds=round(sum(one.high_seconds for one in known), 3),
            samples=min(one.samples for one in known),
        )

    @property
    def proven(self) -> bool:
        return all(part.reach.proven for part in self.parts)

    @property
    def over_rto(self) -> bool:
        """By the forecast, more likely than not."""
        return any(
            part.rto is not None
            and part.reach.forecast is not None
            and part.reach.forecast.median_seconds > part.rto.total_seconds()
            for part in self.parts
        )

    @property
    def over_rpo(self) -> bool:
        return any(part.rpo is not None and part.loss > part.rpo for part in self.parts)
