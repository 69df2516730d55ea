"""What an incident took and what was lost, out of its journal: the record that becomes evidence."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop import __version__
from backstop.model.canonical import parse_time
from backstop.model.checked_document import checked_from
from backstop.model.incident_record import IncidentRecord
from backstop.model.incident_state import VALIDATIONS, StepStatus
from backstop.model.measured import CheckedItem, ComponentRecovery, Outcome, Phase
from backstop.model.observation import ForecastSeen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backstop.commands.disaster.assess import Objective
    from backstop.model.incident_state import IncidentState, StepState


def incident_record(
    state: IncidentState, *, target: str, objectives: Mapping[str, Objective], now: datetime, host: str
) -> IncidentRecord:
    """As it stands now. :param now: when it ends, unless somebody has closed it."""
    parts = {part["component"]: part for part in state.plan.get("parts", ())}
    tried = state.recovered()
    components = tuple(
        _component(state, kind, parts.get(kind, {}), tried.get(kind), objectives)
        for kind in dict.fromkeys([*parts, *tried, *state.left()])
    )
    closed = state.closed
    return IncidentRecord(
        incident_id=state.incident_id,
        target=target,
        what=state.what,
        declared_by=state.declared_by,
        declared_at=state.clock_from,
        ended_at=closed.at if closed else now,
        outcome=str(closed.data["outcome"]) if closed else _outcome(components, state),
        events=tuple(state.events),
        components=components,
        checklist=tuple(item for name in VALIDATIONS for item in _checked(state, name)),
        assessment=state.assessment,
        plan=state.plan,
        host=host,
        version=__version__,
    )


def _component(
    state: IncidentState,
    kind: str,
    part: Mapping[str, Any],
    tried: StepState | None,
    objectives: Mapping[str, Objective],
) -> ComponentRecovery:
    facts = tried.facts if tried else {}
    back = tried is not None and tried.status is StepStatus.PASSED
    ended_at = tried.ended_at if tried else None
    downtime = None
    if back and ended_at is not None:
        downtime = max(ended_at - state.clock_from - state.waited(ended_at, until=ended_at), timedelta(0))
    objective = objectives.get(kind)
    loss = facts.get("loss_seconds")
    forecast = part.get("forecast")
    return ComponentRecovery(
        component=kind,
        repository=str(facts.get("repository") or part.get("repository", "")),
        label=str(facts.get("label") or part.get("label", "")),
        lost_at=state.lost_at,
        recovered_to=parse_time(facts["recovered_to"]) if back else None,
        loss=timedelta(seconds=loss) if back and loss is not None else None,
        loss_says=str(facts.get("loss_says", "")),
        phases=tuple(
            Phase(one["name"], parse_time(one["began_at"]), parse_time(one["ended_at"]))
            for one in facts.get("phases", ())
        ),
        downtime=downtime,
        rto=objective.rto if objective else None,
        rpo=objective.rpo if objective else None,
        forecast=ForecastSeen(**forecast) if forecast else None,
        failure="" if back else _failure(state, kind, tried),
        notes=tuple(facts.get("notes", ())),
        bytes=facts.get("bytes"),
        segments=facts.get("segments"),
    )


def _failure(state: IncidentState, kind: str, tried: StepState | None) -> str:
    now = state.step(f"recover:{kind}")
    if now.status is StepStatus.SKIPPED:
        return now.sentence
    if kind not in state.plan.get("order", ()) and tried is None:
        return "it is not in the plan that was chosen"
    if tried is not None:
        return tried.sentence
    return "it was interrupted" if now.status is StepStatus.BEGUN else "it was not tried"


def _checked(state: IncidentState, name: str) -> list[CheckedItem]:
    step = state.step(f"validate:{name}")
    lines = [checked_from(one) for one in step.facts.get("checked", ())]
    if lines:
        return lines
    if step.status is StepStatus.SKIPPED:
        # Left out by somebody, or there is nothing to ask.
        outcome = Outcome.NOT_DONE if not step.run else Outcome.NOT_APPLICABLE
        return [CheckedItem(name, "", outcome, step.sentence)]
    outcome = Outcome.FAILED if step.status is StepStatus.FAILED else Outcome.NOT_DONE
    return [CheckedItem(name, "", outcome, step.sentence or "it was not asked")]


def _outcome(components: tuple[ComponentRecovery, ...], state: IncidentState) -> str:
    failed = [one.component for one in components if one.failure]
    if failed:
        return f"not everything is back: {', '.join(failed)}"
    if not components:
        return "nothing was recovered"
    wrong = [name for name in VALIDATIONS if state.step(f"validate:{name}").status is StepStatus.FAILED]
    return f"everything is back, and {', '.join(wrong)} failed" if wrong else "everything is back"
