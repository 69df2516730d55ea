"""How an incident stands, from its journal alone. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import canonical_json, parse_time, sha256_hex
from backstop.model.incident import Event, EventKind, counted, waited
from backstop.model.measured import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

BEFORE = ("assess", "choose", "tell:start", "infrastructure")
VALIDATIONS = ("functionality", "consistency", "integrations")
AFTER = (*(f"validate:{item}" for item in VALIDATIONS), "tell:end", "record")


_DATABASE = {"base", "dump"}


class StepStatus(str, Enum):
    """Of one step."""

    OPEN = "open"
    """Nobody has begun it."""
    BEGUN = "begun"
    """It has begun, and no end is known: it is under way, or whoever did it was killed."""
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Somebody left it out, or there is nothing of the kind."""


_ENDED = {
    Outcome.PASSED: StepStatus.PASSED,
    Outcome.FAILED: StepStatus.FAILED,
    Outcome.NOT_APPLICABLE: StepStatus.SKIPPED,
    Outcome.NOT_DONE: StepStatus.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class StepState:
    """One step as it stands.

    :param run: ``uid`` of its newest beginning; :param began: what that one says of who does it.
    :param reached: how far that run has come, as it noted itself.
    :param tries: how often it was begun.
    """

    step: str
    status: StepStatus = StepStatus.OPEN
    sentence: str = ""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    run: str = ""
    began: Mapping[str, Any] = field(default_factory=dict)
    reached: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 0

    @property
    def settled(self) -> bool:
        """Nothing is left to be done of it."""
        return self.status in (StepStatus.PASSED, StepStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class IncidentState:
    """Everything the journal says, in order. Build it with :func:`state_of`."""

    incident_id: str
    events: Sequence[Event]
    declared: Event

    @property
    def clock_from(self) -> datetime:
        """When the clock of the objectives started."""
        return parse_time(self.declared.data["clock_from"])

    @property
    def declared_by(self) -> str:
        return str(self.declared.data["by"])

    @property
    def what(self) -> str:
        return str(self.declared.data["what"])

    @property
    def named(self) -> tuple[str, ...]:
        """Components that somebody said are lost, in the declaration or since."""
        said = [one["component"] for one in self.assessment.get("components", ()) if one["declared"]]
        return tuple(dict.fromkeys([*self.declared.data["components"], *said]))

    @property
    def before(self) -> datetime | None:
        """A moment just before the mistake or the attack, if there was one."""
        said = self.assessment.get("before") or self.declared.data.get("before")
        return parse_time(said) if said else None

    @property
    def lost_at(self) -> datetime:
        """What was written later was never at risk of this loss."""
        return self.before or self.clock_from

    @property
    def closed(self) -> Event | None:
        return self._last(EventKind.CLOSED)

    @property
    def assessment(self) -> Mapping[str, Any]:
        """The newest one; empty: there is none."""
        found = self._last(EventKind.ASSESSED)
        return found.data["assessment"] if found else {}

    @property
    def plan(self) -> Mapping[str, Any]:
        """What was chosen last; empty: nothing was."""
        found = self._last(EventKind.CHOSEN)
        return found.data["plan"] if found else {}

    @property
    def plan_sha256(self) -> str:
        found = self._last(EventKind.CHOSEN)
        return str(found.data["plan_sha256"]) if found else ""

    @property
    def estimate(self) -> Mapping[str, Any]:
        found = self._last(EventKind.ESTIMATED)
        return {**found.data, "at": found.at} if found else {}

    def steps(self) -> list[str]:
        """In the order in which they are done. Which components come back is known once a plan is chosen."""
        order = [f"recover:{component}" for component in self.plan.get("order", ())]
        return [*BEFORE, *order, *AFTER]

    def step(self, name: str) -> StepState:
        """How one stands, by its newest beginning; what a choice has overtaken counts as not begun."""
        begins = [one for one in self._of(name) if one.kind is EventKind.STEP_BEGAN]
        ends = [one for one in self._of(name) if one.kind is EventKind.STEP_ENDED]
        newest = begins[-1] if begins else None
        skipped = [one for one in ends if not one.data["run"] and _after(one, newest)]
        if skipped:
            return self._ended(name, newest if not skipped else None, skipped[-1], len(begins))
        if newest is None:
            return StepState(name)
        end = next((one for one in reversed(ends) if one.data["run"] == newest.uid), None)
        if end is not None:
            return self._ended(name, newest, end, len(begins))
        return StepState(
            name,
            StepStatus.BEGUN,
            "no end is known",
            began_at=newest.at,
            run=newest.uid,
            began=newest.data,
            reached=self._reached(newest.uid),
            tries=len(begins),
        )

    def elapsed(self, now: datetime) -> timedelta:
        """On the clock of the objectives, until the end; waiting for people is among it."""
        closed = self.closed
        return (closed.at if closed else now) - self.clock_from

    def waited(self, now: datetime, *, until: datetime | None = None) -> timedelta:
        """How long people were waited for since the clock started."""
        end = until or (self.closed.at if self.closed else now)
        known = [event for event in self.events if event.at <= end]
        return waited(known, now=end)

    def left(self) -> list[str]:
        """What is lost, and not back: of the newest assessment, and of the plan. A database that nobody could
        look at counts: that all is well cannot be said."""
        back = {kind for kind, step in self.recovered().items() if step.status is StepStatus.PASSED}
        if back & _DATABASE:
            # Either brings the database back.
            back |= _DATABASE
        unseen = [
            one["component"]
            for one in self.assessment.get("components", ())
            if one["component"] in _DATABASE and one.get("state") == "unknown"
        ]
        lost = dict.fromkeys([*self.assessment.get("lost", ()), *self.plan.get("order", ()), *unseen])
        return [one for one in lost if one not in back]

    def _ended(self, name: str, began: Event | None, end: Event, tries: int) -> StepState:
        return StepState(
            name,
            _ENDED[Outcome(end.data["outcome"])],
            str(end.data["sentence"]),
            began_at=began.at if began else None,
            ended_at=end.at,
            run=began.uid if began else "",
            began=began.data if began else end.data,
            reached=self._reached(began.uid) if began else {},
            facts=end.data["facts"],
            tries=tries,
        )

    def _reached(self, run: str) -> Mapping[str, Any]:
        noted = [one.data for one in self.events if one.kind is EventKind.STEP_REACHED]
        return next((data["facts"] for data in reversed(noted) if data["run"] == run), {})

    def _of(self, name: str) -> list[Event]:
        """Of a recovery, those since just this was chosen: another point is another recovery; and what is
        checked, told or recorded of the end belongs to the plan that is carried out."""
        events = [one for one in counted(self.events) if one.data.get("step") == name]
        kind, _, component = name.partition(":")
        if name in BEFORE:
            return events
        choices = [one for one in reversed(self.events) if one.kind is EventKind.CHOSEN]
        since = choices[:1]
        if kind == "recover":
            part = _part(self.plan, component)
            same = itertools.takewhile(lambda one: _part(one.data["plan"], component) == part, choices)
            since = list(same)
        return [one for one in events if not since or one.order > since[-1].order]

    def recovered(self) -> dict[str, StepState]:
        """By component, what was recovered or tried in this incident, whatever was chosen later."""
        found: dict[str, StepState] = {}
        for event in counted(self.events):
            step = str(event.data.get("step", ""))
            if event.kind is EventKind.STEP_ENDED and step.startswith("recover:") and event.data["run"]:
                began = next((one for one in self.events if one.uid == event.data["run"]), None)
                state = self._ended(step, began, event, 1)
                before = found.get(step[len("recover:") :])
                if before is None or before.status is not StepStatus.PASSED or state.settled:
                    found[step[len("recover:") :]] = state
        return found

    def _last(self, kind: EventKind) -> Event | None:
        return next((one for one in reversed(self.events) if one.kind is kind), None)


def state_of(incident_id: str, events: Sequence[Event]) -> IncidentState | None:
    """None: the journal does not begin with a declaration, so there is no such incident."""
    declared = next((one for one in events if one.kind is EventKind.DECLARED), None)
    return IncidentState(incident_id, list(events), declared) if declared else None


def plan_digest(plan: Mapping[str, Any]) -> str:
    """What a choice and an approval name, so that neither can be used for another plan."""
    return sha256_hex(canonical_json(dict(plan)))


def _part(plan: Mapping[str, Any], component: str) -> Any:
    return next((part for part in plan.get("parts", ()) if part["component"] == component), None)


def _after(one: Event, other: Event | None) -> bool:
    return other is None or (one.order, one.at, one.uid) > (other.order, other.at, other.uid)
