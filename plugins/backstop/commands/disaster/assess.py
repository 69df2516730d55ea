"""The assessment: what is damaged, what every repository could bring back, which options follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.component import Condition, Found
from backstop.commands.disaster.reaches import survey
from backstop.errors import BackstopError
from backstop.model.canonical import format_time
from backstop.model.drill_loss import loss_by_watch
from backstop.model.figures import duration_in_words
from backstop.model.incident_option import Wanted
from backstop.model.incident_options import options_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from backstop.commands.disaster.component import Component, Sources
    from backstop.model.drill_loss import Loss
    from backstop.model.drill_samples import Sample
    from backstop.model.incident_option import Option, Part, Reach
    from backstop.model.observation import ForecastSeen

    Watched = tuple[datetime, timedelta | None]

_LOST = (Condition.DAMAGED, Condition.GONE)


@dataclass(frozen=True, slots=True)
class Objective:
    """What was asked for, for one component."""

    rto: timedelta | None = None
    rpo: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Assessing:
    """Looks once, at one moment.

    :param components: by kind, every one of the target; :param order: in which they come back.
    :param alternatives: other kinds that bring the same back: ``{"base": "dump"}``.
    :param unopened: gives the repositories that cannot even be opened or do not answer, and why.
    :param losses: what watches saw to be at risk in a repository around a moment: when, and at most how much.
    :param drilled: gives what restores took in drills, by component.
    """

    target: str
    incident_id: str
    components: Mapping[str, Component]
    order: Sequence[str]
    objectives: Mapping[str, Objective]
    alternatives: Mapping[str, str] = field(default_factory=dict)
    unopened: Callable[[], Mapping[str, str]] = dict
    losses: Callable[[str, datetime], Sequence[Watched]] = lambda repository, moment: ()
    drilled: Callable[[], Mapping[str, Sequence[Sample]]] = dict

    def document(
        self,
        sources: Sources,
        *,
        named: Sequence[str],
        declared_at: datetime,
        lost_at: datetime,
        before: datetime | None,
        now: datetime,
    ) -> dict[str, Any]:
        """Of JSON's types alone.

        :param named: components that somebody said are lost: they are, however they look.
        """
        looked = {kind: self.look(kind, sources) for kind in self.order}
        lost = [kind for kind in self.order if kind in named or looked[kind].condition in _LOST]
        kinds = {*self.order, *self.alternatives.values()}
        found = survey(sources, kinds, drilled=self.drilled())
        options = options_for(
            [self._wanted(kind) for kind in lost or self.order],
            self._watched(found.reaches, lost_at),
            lost_at=lost_at,
            before=before,
            alternatives=self.alternatives,
        )
        recommended = options[0].id if options and lost else None
        repositories = {**dict.fromkeys((one.name for one in sources.repositories), ""), **self.unopened()}
        repositories |= found.problems
        return {
            "incident_id": self.incident_id,
            "target": self.target,
            "declared_at": format_time(declared_at),
            "assessed_at": format_time(now),
            "lost_at": format_time(lost_at),
            "before": format_time(before) if before else None,
            "lost": lost,
            "components": [self._component(kind, looked[kind], kind in named) for kind in self.order],
            "repositories": [
                {"name": name, "reachable": not problem, "problem": problem}
                for name, problem in repositories.items()
            ],
            "passed_over": sorted(
                {f"{one.label} in {one.repository}: {one.doubt}" for one in found.reaches if one.doubt}
            ),
            "options": [_option(one, chosen=one.id == recommended) for one in options],
            "recommended": recommended,
        }

    def _watched(self, reaches: Sequence[Reach], lost_at: datetime) -> list[Reach]:
        """With what was seen to be at risk right before the loss: after it, nobody hears the server."""
        seen: dict[str, Loss | None] = {}
        for one in reaches:
            if one.timeline is not None and one.repository not in seen:
                samples = [sample for sample in self.losses(one.repository, lost_at) if sample[0] <= lost_at]
                seen[one.repository] = loss_by_watch(lost_at, samples)
        return [
            replace(one, behind=loss.duration, behind_says=loss.says)
            if one.timeline is not None and (loss := seen[one.repository]) is not None
            else one
            for one in reaches
        ]

    def look(self, kind: str, sources: Sources) -> Found:
        """What is left of one component, now. Changes nothing, and never fails."""
        try:
            return self.components[kind].look(sources)
        except (BackstopError, OSError) as error:
            return Found(Condition.UNKNOWN, f"it cannot be looked at: {error}")

    def _wanted(self, kind: str) -> Wanted:
        objective = self.objectives.get(kind, Objective())
        return Wanted(kind, objective.rto, objective.rpo)

    def _component(self, kind: str, found: Found, declared: bool) -> dict[str, Any]:
        objective = self.objectives.get(kind, Objective())
        return {
            "component": kind,
            "state": found.condition.value,
            "sentence": found.sentence,
            "details": list(found.details),
            "declared": declared,
            "rto_seconds": _seconds(objective.rto),
            "rpo_seconds": _seconds(objective.rpo),
        }


def _option(option: Option, *, chosen: bool) -> dict[str, Any]:
    forecast = option.forecast
    return {
        "id": option.id,
        "title": option.title,
        "parts": [_part(part) for part in option.parts],
        "impossible": list(option.impossible),
        "low_seconds": forecast.low_seconds if forecast else None,
        "median_seconds": forecast.median_seconds if forecast else None,
        "high_seconds": forecast.high_seconds if forecast else None,
        "loss_seconds": _seconds(option.loss),
        "proven": option.proven,
        "risk": list(option.risk),
        "recommended": chosen,
        "because": option.because if chosen else "",
    }


def _part(part: Part) -> dict[str, Any]:
    reach = part.reach
    return {
        "component": part.component,
        "repository": reach.repository,
        "label": reach.label,
        "point": part.point,
        "timeline": reach.timeline,
        "recovered_to": format_time(part.to),
        "proven": reach.proven,
        "loss_seconds": part.loss.total_seconds(),
        "measured_loss_seconds": _seconds(part.measured),
        "loss_says": _loss_says(part),
        "forecast": _forecast(reach.forecast),
        "bytes": reach.bytes,
        "segments": reach.segments,
    }


def _loss_says(part: Part) -> str:
    if not part.loss:
        return "nothing that was written before the loss"
    if part.reach.timeline is None:
        return "what was written since this backup"
    if part.seen:
        return part.reach.behind_says
    words = duration_in_words(part.loss)
    if part.measured is None:
        return f"not known, at most {words}: nothing that was written later is stored, and nobody watched"
    return f"at most, by when WAL was stored: the newest had been written {words} before"


def _forecast(seen: ForecastSeen | None) -> dict[str, Any] | None:
    return asdict(seen) if seen else None


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
