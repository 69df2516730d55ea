"""How a recovery stands, as those who wait for it want to know: what is lost, what is back, how long yet.

Pure; from what the incident's engine says of itself (plain values of JSON).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STATES = {
    "open": "waiting",
    "running": "under way",
    "running or interrupted": "under way",
    "interrupted": "interrupted",
    "passed": "back",
    "failed": "failed",
    "skipped": "left out",
}
_TO_COME = ("waiting", "under way", "interrupted", "failed")
_OVER = ("back", "left out")


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long it takes from now on: the middle, and between what in eight of ten cases."""

    low: timedelta
    median: timedelta
    high: timedelta


@dataclass(frozen=True, slots=True)
class Lost:
    """A component that is not as it should be. :param sentence: for insiders: it may name paths."""

    component: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Part:
    """A component of the chosen plan.

    :param state: ``waiting``, ``under way``, ``interrupted``, ``back``, ``failed``, ``left out``.
    :param point: the moment to which it goes back, or is back; None: as new as it can be had.
    :param loss: work that will not be, or is not back; None: not known. :param loss_says: how far it is, for
        insiders.
    """

    component: str
    state: str
    label: str = ""
    repository: str = ""
    point: datetime | None = None
    loss: timedelta | None = None
    loss_says: str = ""
    forecast: Estimate | None = None
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """At the moment ``now``. :param step: what goes on; empty: nothing, or people are waited for.

    :param waited: for people; not in ``elapsed``'s favour, told beside it.
    :param complete: every component is back or was left out by somebody, and nothing that was checked failed.
        Nor is anything lost that is not in the plan.
    :param asked: whether something is asked at the end; else nobody knows that it works.
    :param failures: of steps, a sentence each, for insiders.
    """

    incident_id: str
    target: str
    what: str
    declared_at: datetime
    now: datetime
    lost: tuple[Lost, ...] = ()
    option: str = ""
    parts: tuple[Part, ...] = ()
    step: str = ""
    waited: timedelta = timedelta(0)
    complete: bool = False
    asked: bool = True
    failures: tuple[str, ...] = ()

    @property
    def elapsed(self) -> timedelta:
        return max(self.now - self.declared_at, timedelta(0))

    @property
    def components(self) -> tuple[str, ...]:
        """That are concerned: of the plan, or before there is one, of what is damaged."""
        return tuple(one.component for one in self.parts) or tuple(one.component for one in self.lost)

    @property
    def all_back(self) -> bool:
        """There is a plan, and nothing of it is still to come."""
        return bool(self.parts) and not any(part.state in _TO_COME for part in self.parts)

    @property
    def overdue(self) -> bool:
        """What is under way takes longer than its forecast allows."""
        return any(
            part.state == "under way"
            and part.forecast is not None
            and part.began_at is not None
            and self.now - part.began_at > part.forecast.high
            for part in self.parts
        )

    @property
    def estimate(self) -> Estimate | None:
        """Of what is still to come, one component after the other. None: of one of them nobody knows, or it
        takes longer than was forecast already."""
        left = [part for part in self.parts if part.state in _TO_COME]
        if not left or self.overdue:
            return None
        total = Estimate(timedelta(0), timedelta(0), timedelta(0))
        for part in left:
            if part.forecast is None:
                return None
            spent = timedelta(0)
            if part.state == "under way" and part.began_at is not None:
                spent = max(self.now - part.began_at, timedelta(0))
            total = Estimate(
                total.low + max(part.forecast.low - spent, timedelta(0)),
                total.median + max(part.forecast.median - spent, timedelta(0)),
                total.high + part.forecast.high - spent,
            )
        return total


def situation_of(
    *,
    status: Mapping[str, Any],
    assessment: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None,
    what: str,
    target: str,
    incident_id: str,
    now: datetime,
) -> Situation:
    """:param status: of the incident; :param assessment: and :param plan: None before there is one."""
    steps = {str(one["step"]): one for one in status.get("steps", ())}
    parts = tuple(_part(raw, steps.get(f"recover:{raw['component']}", {})) for raw in _ordered(plan or {}))
    checked = [one for name, one in steps.items() if name.startswith(("recover:", "validate:"))]
    checks = [one for name, one in steps.items() if name.startswith("validate:")]
    return Situation(
        incident_id=incident_id,
        target=target,
        what=what,
        declared_at=parse_time(status["declared_at"]),
        now=now,
        lost=tuple(_lost((assessment or {}).get("components", ()))),
        option=_title(assessment or {}, plan or {}),
        parts=parts,
        step=next(
            (name for name, one in steps.items() if _STATES.get(str(one.get("state"))) == "under way"), ""
        ),
        waited=timedelta(seconds=float(status.get("waited_seconds") or 0)),
        asked=not checks or not all(one.get("state") == "skipped" for one in checks),
        complete=bool(parts)
        and not status.get("left")
        and all(part.state in _OVER for part in parts)
        and not any(one.get("state") in ("failed", "interrupted") for one in checked),
        failures=tuple(
            str(one.get("sentence") or name) for name, one in steps.items() if one.get("state") == "failed"
        ),
    )


def _ordered(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = list(plan.get("parts", ()))
    order = list(plan.get("order", ()))
    last = len(order)
    return sorted(
        parts, key=lambda part: order.index(part["component"]) if part["component"] in order else last
    )


def _lost(components: Iterable[Mapping[str, Any]]) -> Iterable[Lost]:
    for one in components:
        if one.get("declared") or one.get("state") in ("damaged", "gone"):
            yield Lost(str(one["component"]), str(one.get("sentence", "")))


def _title(assessment: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    wanted = plan.get("option")
    for option in assessment.get("options", ()):
        if option.get("id") == wanted:
            return str(option.get("title") or wanted)
    return str(wanted or "")


def _part(raw: Mapping[str, Any], step: Mapping[str, Any]) -> Part:
    state = _STATES.get(str(step.get("state", "open")), "waiting")
    facts = step.get("facts") or {}
    found: Mapping[str, Any] = {**raw, **facts} if state == "back" else raw
    loss = found.get("loss_seconds")
    point = found.get("recovered_to")
    began = step.get("began_at")
    return Part(
        component=str(raw["component"]),
        state=state,
        label=str(raw.get("label") or ""),
        repository=str(raw.get("repository") or ""),
        point=parse_time(point) if point else None,
        loss=None if loss is None else timedelta(seconds=float(loss)),
        loss_says=str(found.get("loss_says") or ""),
        forecast=_estimate(raw.get("forecast")),
        began_at=parse_time(began) if began else None,
    )


def _estimate(raw: Mapping[str, Any] | None) -> Estimate | None:
    if not raw or raw.get("median_seconds") is None:
        return None
    low, median, high = (
        timedelta(seconds=float(raw[f"{name}_seconds"])) for name in ("low", "median", "high")
    )
    return Estimate(low, median, high)
