"""How an incident stands, for people and machines: the clock against the objectives, every step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.process import lives
from backstop.model.canonical import format_time
from backstop.model.incident_state import StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backstop.commands.disaster.assess import Objective
    from backstop.model.incident_state import IncidentState, StepState


_AT_ONCE = timedelta(seconds=10)
"""Between somebody's word and its line in the journal."""


def standing(
    state: IncidentState, *, target: str, objectives: Mapping[str, Objective], now: datetime
) -> dict[str, Any]:
    """Of JSON's types alone."""
    closed = state.closed
    return {
        "incident_id": state.incident_id,
        "target": target,
        "what": state.what,
        "declared_by": state.declared_by,
        "declared_at": format_time(state.clock_from),
        "recorded_at": format_time(state.declared.at),
        "backdated": state.declared.at - state.clock_from > _AT_ONCE,
        "before": format_time(state.before) if state.before else None,
        "now": format_time(now),
        "elapsed_seconds": round(state.elapsed(now).total_seconds(), 3),
        "waited_seconds": round(state.waited(now).total_seconds(), 3),
        "objectives": _objectives(state, objectives, now),
        "steps": [_step(state.step(name), closed=closed is not None) for name in state.steps()],
        "left": state.left(),
        "plan": dict(state.plan),
        "plan_sha256": state.plan_sha256,
        "estimate": _estimate(state),
        "closed_at": format_time(closed.at) if closed else None,
        "closed_by": closed.data["by"] if closed else None,
        "outcome": closed.data["outcome"] if closed else None,
    }


def _objectives(
    state: IncidentState, objectives: Mapping[str, Objective], now: datetime
) -> dict[str, dict[str, float | bool | None]]:
    """Of what is to come back: the time taken so far, waiting for people left out, and what is left of it."""
    order = state.plan.get("order") or state.assessment.get("lost") or state.named
    recovered = state.recovered()
    end = state.closed.at if state.closed else now
    found: dict[str, dict[str, float | bool | None]] = {}
    for component in [*order, *(one for one in recovered if one not in order)]:
        step = recovered.get(component)
        back = step is not None and step.status is StepStatus.PASSED
        until = step.ended_at if back and step and step.ended_at else end
        taken = until - state.clock_from - state.waited(now, until=until)
        rto = objectives[component].rto if component in objectives else None
        found[component] = {
            "rto_seconds": rto.total_seconds() if rto else None,
            "taken_seconds": round(taken.total_seconds(), 3),
            "left_seconds": round((rto - taken).total_seconds(), 3) if rto else None,
            "back": back,
        }
    return found


def _step(state: StepState, *, closed: bool) -> dict[str, Any]:
    return {
        "step": state.step,
        "state": _word(state, closed=closed),
        "sentence": state.sentence,
        "by": state.began.get("by"),
        "host": state.began.get("host"),
        "began_at": format_time(state.began_at) if state.began_at else None,
        "ended_at": format_time(state.ended_at) if state.ended_at else None,
        "tries": state.tries,
        "facts": dict(state.facts),
    }


def _word(state: StepState, *, closed: bool) -> str:
    if state.status is not StepStatus.BEGUN:
        return str(state.status.value)
    alive = False if closed else lives(state.began)
    return "running or interrupted" if alive is None else "running" if alive else "interrupted"


def _estimate(state: IncidentState) -> dict[str, Any] | None:
    estimate = state.estimate
    return {**estimate, "at": format_time(estimate["at"])} if estimate else None
