"""An incident that those who wait are told of, and those who wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import format_time
from backstop.model.incident import Event, EventKind
from backstop.model.situation import situation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.commands.disaster.texts import Message
    from backstop.model.situation import Situation

DECLARED_AT = datetime(2026, 11, 26, 14, 20, tzinfo=timezone.utc)
WHAT = "the disk of db1 died"
DATA = "/var/lib/postgresql/17/main"
MINUTES_10 = {"low_seconds": 300.0, "median_seconds": 600.0, "high_seconds": 900.0, "samples": 9}


def after(minutes: float) -> datetime:
    return DECLARED_AT + timedelta(minutes=minutes)


def part(component: str, **fields: Any) -> dict[str, Any]:
    return {
        "component": component,
        "repository": "s3-frankfurt",
        "label": f"20261126T010000Z-{component.replace(':', '-')}",
        "recovered_to": format_time(after(-2)),
        "loss_seconds": 120.0,
        "forecast": MINUTES_10,
        **fields,
    }


@dataclass
class FakeIncident:
    """What the engine's incident says; steps are put by the test."""

    parts: list[dict[str, Any]] = field(default_factory=lambda: [part("base"), part("tree:media")])
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    waited_seconds: float = 0.0
    journal: list[Event] = field(default_factory=list)
    estimates: list[tuple[Any, Any, Any]] = field(default_factory=list)
    target: str = "calibrify-prod"
    incident_id: str = "incident-20261126T142000Z-1f3a"

    def __post_init__(self) -> None:
        self.journal.append(Event(1, DECLARED_AT, EventKind.DECLARED, {"by": "ann", "what": WHAT}))

    @property
    def assessment(self) -> dict[str, Any]:
        lost = {"component": "base", "state": "gone", "sentence": f"{DATA} is gone", "declared": True}
        return {
            "components": [lost, {"component": "tree:media", "state": "damaged", "sentence": "9 files miss"}],
            "options": [{"id": "newest", "title": "Everything as new as it can be had"}],
        }

    @property
    def plan(self) -> dict[str, Any]:
        return {
            "option": "newest",
            "order": [one["component"] for one in self.parts],
            "parts": self.parts,
        }

    def step(self, name: str, state: str, *, began_at: datetime | None = None, **more: Any) -> None:
        self.steps[name] = {
            "state": state,
            "began_at": format_time(began_at) if began_at else None,
            **more,
        }

    def status(self) -> dict[str, Any]:
        return {
            "declared_at": format_time(DECLARED_AT),
            "waited_seconds": self.waited_seconds,
            "steps": [{"step": name, **facts} for name, facts in self.steps.items()],
        }

    def events(self) -> list[Event]:
        return list(self.journal)

    def told(self, channel: str, subject: str, failed: str = "", **data: Any) -> None:
        told = {"channel": channel, "subject": subject, "failed": failed, **data}
        self.journal.append(Event(len(self.journal) + 1, DECLARED_AT, EventKind.TOLD, told))

    def estimated(self, low: float | None, median: float | None, high: float | None) -> None:
        self.estimates.append((low, median, high))

    def situation(self, now: datetime) -> Situation:
        return situation_of(
            status=self.status(),
            assessment=self.assessment,
            plan=self.plan,
            what=WHAT,
            target=self.target,
            incident_id=self.incident_id,
            now=now,
        )

    @property
    def telling(self) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.journal if event.kind is EventKind.TOLD]


@dataclass
class Ear:
    """Listens. :param answer: called with each message; raises when it should not be taken."""

    name: str = "ear"
    heard: list[Message] = field(default_factory=list)
    answer: Callable[[Message], None] | None = None
    public: bool = False

    def tell(self, message: Message) -> None:
        if self.answer is not None:
            self.answer(message)
        self.heard.append(message)
