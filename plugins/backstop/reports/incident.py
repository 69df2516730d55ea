"""What stands in the report of an incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.figures import duration_in_words
from backstop.model.incident import EventKind
from backstop.model.incident_record import VALIDATION
from backstop.reports.drill import MOST, longest, most_lost
from backstop.reports.incident_timeline import draw_incident
from backstop.reports.journal import attempts_of, estimates_in, facts_in, told_in, waits_of
from backstop.reports.judging import (
    Judged,
    checklist_groups,
    forecasts_of,
    objectives_in_words,
    objectives_of,
    tone_of,
)
from backstop.reports.naming import component_in_words, step_in_words
from backstop.reports.options import Assessed, assessed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.model.incident import Event
    from backstop.model.incident_record import IncidentRecord
    from backstop.model.measured import ComponentRecovery
    from backstop.reports.drawing import Drawing
    from backstop.reports.journal import Attempt, Estimate, Told, Wait
    from backstop.reports.judging import Forecast, ItemGroup, Objective


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal. :param since: it was declared. :param facts: what it says, in words."""

    at: datetime
    since: timedelta
    what: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One incident. :param lasted: from its declaration to its end; :param waited: of that, for people."""

    incident: IncidentRecord
    result: Judged
    because: tuple[str, ...]
    objectives: tuple[Objective, ...]
    objectives_said: Judged
    lasted: timedelta
    waited: timedelta
    longest: str
    most_lost: str
    drawing: Drawing
    groups: tuple[ItemGroup, ...]
    forecasts: tuple[Forecast, ...]
    attempts: tuple[Attempt, ...]
    waits: tuple[Wait, ...]
    told: tuple[Told, ...]
    estimates: tuple[Estimate, ...]
    assessed: Assessed
    journal: tuple[Line, ...]
    back_at: datetime | None
    most: int = MOST

    @property
    def tone(self) -> str:
        return tone_of(self.result, self.objectives_said)

    @property
    def components(self) -> tuple[ComponentRecovery, ...]:
        return self.incident.components


def view_incident(incident: IncidentRecord) -> IncidentView:
    events = list(incident.events)
    last = max([incident.declared_at, *(one.at for one in events)])
    ends_at = max(incident.ended_at or last, incident.declared_at)
    waits, told, attempts = waits_of(events), told_in(events), attempts_of(events)
    back_at = _back_at(incident)
    estimates = estimates_in(events, waits, back_at=back_at)
    objectives = objectives_of(incident.components)
    return IncidentView(
        incident=incident,
        result=_result(incident),
        because=tuple(_because(incident, attempts, told)),
        objectives=objectives,
        objectives_said=objectives_in_words(objectives),
        lasted=ends_at - incident.declared_at,
        waited=incident.waited(now=ends_at),
        longest=longest(incident.components),
        most_lost=most_lost(incident.components),
        drawing=draw_incident(
            declared_at=incident.declared_at,
            ends_at=max(ends_at, last),
            back_at=back_at,
            components=incident.components,
            attempts=attempts,
            waits=waits,
            told=told,
            estimates=estimates,
        ),
        groups=checklist_groups(VALIDATION, incident.checklist),
        forecasts=forecasts_of(incident.components),
        attempts=attempts,
        waits=waits,
        told=told,
        estimates=estimates,
        assessed=assessed(_assessment(incident, events), incident.plan),
        journal=tuple(_line(one, incident) for one in events),
        back_at=back_at,
    )


def _result(incident: IncidentRecord) -> Judged:
    if incident.recovered:
        return Judged("good", "Recovered")
    if incident.ended_at is None:
        return Judged("warning", "It goes on")
    return Judged("critical", "Not recovered, or not wholly")


def _because(
    incident: IncidentRecord, attempts: tuple[Attempt, ...], told: tuple[Told, ...]
) -> Iterator[str]:
    if incident.outcome:
        yield f"Closed as: {incident.outcome}"
    for one in incident.components:
        if one.failure:
            yield f"Not back: {component_in_words(one.component)}. {one.failure}"
    newest = {one.step: one for one in attempts}
    for last in newest.values():
        if last.judged.tone == "critical":
            yield f"Step failed: {step_in_words(last.step)}{f': {last.sentence}' if last.sentence else ''}"
    redone = sum(one.number > 1 for one in attempts)
    if redone:
        yield f"Done again: {redone} step{'s' if redone > 1 else ''}"
    undelivered = sum(bool(one.failed) for one in told)
    if undelivered:
        yield f"Messages that did not arrive: {undelivered} of {len(told)}"


def _back_at(incident: IncidentRecord) -> datetime | None:
    """When the last component was validated; None: one is not back, or when is not known."""
    if not incident.components or any(one.failure for one in incident.components):
        return None
    ends = [phase.ended_at for one in incident.components for phase in one.phases]
    if any(not one.phases for one in incident.components):
        ends += [
            event.at
            for event in incident.events
            if event.kind is EventKind.STEP_ENDED and str(event.data.get("step", "")).startswith("recover:")
        ]
    return max(ends, default=None)


def _assessment(incident: IncidentRecord, events: list[Event]) -> Any:
    """The record's own, else the last that the journal has."""
    if incident.assessment:
        return incident.assessment
    found = [one.data.get("assessment") for one in events if one.kind is EventKind.ASSESSED]
    return found[-1] if found else {}


def _line(event: Event, incident: IncidentRecord) -> Line:
    facts = tuple(facts_in(event))
    step = event.data.get("step")
    if isinstance(step, str):
        facts = tuple((name, step_in_words(step) if name == "step" else value) for name, value in facts)
    if event.kind is EventKind.ESTIMATED:
        facts = (("more", _estimated(event)),)
    return Line(event.at, event.at - incident.declared_at, event.kind.value, facts)


def _estimated(event: Event) -> str:
    values = [event.data.get(name) for name in ("median_seconds", "low_seconds", "high_seconds")]
    numbers = [one for one in values if isinstance(one, int | float)]
    if len(numbers) < len(values):
        return "nobody knows"
    median, low, high = (duration_in_words(timedelta(seconds=min(one, 1e9))) for one in numbers)
    return f"{median}, between {low} and {high}"
