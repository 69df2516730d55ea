"""What a drill is going to do: small, without secrets, and JSON between tasks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstop.model.documents import Codec
from backstop.model.figures import duration_in_words
from backstop.model.observation import ForecastSeen  # noqa: TC001 read at run time by what stores it
from backstop.model.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PlannedComponent:
    """One component, and where it comes back from.

    :param component: ``base``, ``dump`` or ``tree:<name>``.
    :param repository: that it is read from; :param others: that may lend WAL which that one lacks.
    :param label: the backup that it begins with; :param chain: all that are read, a full one first.
    :param point: where recovery stops, as :class:`~backstop.model.recovery_target.RecoveryTarget` writes it;
        empty: there is nothing to replay.
    :param trusted_until: what was stored later is not read; None: everything is.
    :param recovers_to: the moment whose state comes back.
    :param loss: work that is not going to be back, where names alone tell it. :param loss_says: how.
    :param proven_at: when a restore of the backup from there last matched.
    :param plain_bytes: what is written.
    :param why: a sentence each.
    """

    component: str
    repository: str
    label: str
    recovers_to: datetime
    chain: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    point: str = ""
    timeline: int = 0
    trusted_until: datetime | None = None
    proven_at: datetime | None = None
    loss: timedelta | None = None
    loss_says: str = ""
    rto: timedelta | None = None
    rpo: timedelta | None = None
    forecast: ForecastSeen | None = None
    plain_bytes: int = 0
    segments: int | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """One drill. See :class:`~backstop.model.drill.DrillRecord` for what both have.

    :param directory: everything is restored below it. :param attended: one process carries it out from
        beginning to end; False: tasks do, one by one.
    :param planned_at: when it was clear what to restore: detection ends then.
    :param repositories: those that may be read.
    """

    drill_id: str
    target: str
    scenario: str
    seed: str
    window_begins_at: datetime
    window_ends_at: datetime
    disaster_at: datetime
    began_at: datetime
    planned_at: datetime
    directory: str
    components: tuple[PlannedComponent, ...]
    repositories: tuple[str, ...]
    requested_by: str = ""
    attended: bool = False
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the components, in the order in which they come back."""
        return tuple(one.component for one in self.components)

    def component(self, name: str) -> PlannedComponent:
        """:raises KeyError: it is not part of the drill."""
        return {one.component: one for one in self.components}[name]

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people, one a line."""
        lost = Scenario.parse(self.scenario).sentence
        found = [f"{self.drill_id}: at {self.disaster_at:%Y-%m-%d %H:%M:%S}Z {lost} (seed {self.seed})"]
        for one in self.components:
            back = f"{one.component} from {one.label} in {one.repository}"
            if one.point:
                back += f", then WAL to {one.point}"
            if one.forecast is not None:
                seconds = (one.forecast.median_seconds, one.forecast.high_seconds)
                median, high = (duration_in_words(timedelta(seconds=each)) for each in seconds)
                back += f"; takes about {median}, up to {high}"
            found.append(back)
        return (*found, *self.notes)

    def to_dict(self) -> dict[str, Any]:
        return _plans().document(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> DrillPlan:
        """:raises IntegrityError: it is malformed."""
        return _plans().read(document, name=f"drill {document.get('drill_id')!r}")


@lru_cache(1)
def _plans() -> Codec[DrillPlan]:
    return Codec(DrillPlan)
