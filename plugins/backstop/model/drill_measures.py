"""What a drill measured of a component once it was restored *and* looked at. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.measured import ComponentRecovery, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backstop.model.drill_plan import DrillPlan, PlannedComponent
    from backstop.model.measured import CheckedItem

VALIDATE = "validate"


def validated(recovery: ComponentRecovery, checklist: Iterable[CheckedItem]) -> ComponentRecovery:
    """With the time that looking at it took: before that nobody would use it.

    Items that are about all components count for each of them. What lies between the restore and the first
    look, such as a task that waits for a worker, is none of ours.
    """
    seconds = sum(one.seconds or 0.0 for one in checklist if one.component in ("", recovery.component))
    if recovery.failure or recovery.downtime is None or not recovery.phases or not seconds:
        return recovery
    took, last = timedelta(seconds=seconds), recovery.phases[-1]
    if last.name == VALIDATE:
        phases = (*recovery.phases[:-1], replace(last, ended_at=last.ended_at + took))
    else:
        phases = (*recovery.phases, Phase(VALIDATE, last.ended_at, last.ended_at + took))
    return replace(recovery, phases=phases, downtime=recovery.downtime + took)


def untried(plan: DrillPlan, planned: PlannedComponent) -> ComponentRecovery:
    """Of a component to which the drill did not come."""
    return ComponentRecovery(
        component=planned.component,
        repository=planned.repository,
        label=planned.label,
        lost_at=plan.disaster_at,
        rto=planned.rto,
        rpo=planned.rpo,
        forecast=planned.forecast,
        failure="it was not tried: the drill ended before",
    )
