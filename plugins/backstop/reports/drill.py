"""What stands in the report of a drill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.drill import CHECKLIST
from backstop.model.figures import duration_in_words
from backstop.model.measured import Outcome
from backstop.model.scenario import Scenario
from backstop.reports.judging import (
    Judged,
    checklist_groups,
    forecasts_of,
    objectives_in_words,
    objectives_of,
    tone_of,
)
from backstop.reports.naming import PHASES, component_in_words
from backstop.reports.timeline import draw_loss, draw_recovery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.model.drill import DrillRecord
    from backstop.model.measured import ComponentRecovery
    from backstop.reports.drawing import Drawing
    from backstop.reports.judging import Forecast, ItemGroup, Objective

MOST = 100
"""Details of one kind that a page shows; the record has all of them."""


@dataclass(frozen=True, slots=True)
class DrillView:
    """One drill. :param because: why it failed, a sentence each; :param waited: for its sign-off."""

    drill: DrillRecord
    scenario: str
    result: Judged
    because: tuple[str, ...]
    objectives: tuple[Objective, ...]
    objectives_said: Judged
    longest: str
    most_lost: str
    recovery: Drawing
    lost: Drawing
    legend: tuple[tuple[str, str], ...]
    groups: tuple[ItemGroup, ...]
    forecasts: tuple[Forecast, ...]
    waited: timedelta
    notes: tuple[str, ...]
    most: int = MOST

    @property
    def tone(self) -> str:
        return tone_of(self.result, self.objectives_said)

    @property
    def components(self) -> tuple[ComponentRecovery, ...]:
        return self.drill.components


def view_drill(drill: DrillRecord) -> DrillView:
    objectives = objectives_of(drill.components)
    because = tuple(_because(drill))
    return DrillView(
        drill=drill,
        scenario=scenario_in_words(drill.scenario),
        result=Judged("good", "Passed") if drill.passed else Judged("critical", "Failed"),
        because=because,
        objectives=objectives,
        objectives_said=objectives_in_words(objectives),
        longest=longest(drill.components),
        most_lost=most_lost(drill.components),
        recovery=draw_recovery(
            drill.components,
            began_at=drill.began_at,
            ended_at=drill.ended_at,
            signed_off_at=drill.sign_off.at if drill.sign_off else None,
        ),
        lost=draw_loss(drill.components, title="What was lost, of what each objective allows"),
        legend=legend_of(drill.components),
        groups=checklist_groups(CHECKLIST, drill.checklist),
        forecasts=forecasts_of(drill.components),
        waited=drill.sign_off.at - drill.ended_at if drill.sign_off else timedelta(0),
        notes=drill.notes,
    )


def scenario_in_words(scenario: str) -> str:
    """Of one that a later version names, its name."""
    try:
        return Scenario.parse(scenario).sentence
    except ValueError:
        return scenario


def longest(components: Sequence[ComponentRecovery]) -> str:
    """Until the last component was back."""
    found = [(one.downtime, one.component) for one in components if one.downtime is not None]
    missing = sum(one.downtime is None for one in components)
    if not found:
        return "nothing is back"
    downtime, component = max(found)
    return f"{duration_in_words(downtime)} ({component_in_words(component)})" + (
        f"; {missing} not back" if missing else ""
    )


def most_lost(components: Sequence[ComponentRecovery]) -> str:
    """Of the component that lost most."""
    found = [(one.loss, one.component) for one in components if one.loss is not None]
    if not found:
        return "not known"
    loss, component = max(found)
    return f"{duration_in_words(loss)} ({component_in_words(component)})"


def legend_of(components: Sequence[ComponentRecovery]) -> tuple[tuple[str, str], ...]:
    """The phases that there are, in their order."""
    there = {phase.name for one in components for phase in one.phases}
    known = [(name, words) for name, words in PHASES.items() if name in there]
    return tuple(known + ([("other", "other")] if there - set(PHASES) else []))


def _because(drill: DrillRecord) -> Iterator[str]:
    for one in drill.components:
        if one.failure:
            yield f"Not back: {component_in_words(one.component)}. {one.failure}"
    for outcome, words in ((Outcome.FAILED, "Failed"), (Outcome.NOT_DONE, "Not done")):
        items = list(dict.fromkeys(one.item for one in drill.checklist if one.outcome is outcome))
        if items:
            yield f"{words}: {', '.join(CHECKLIST.get(item, item) for item in items)}"
    if drill.left_behind:
        yield f"Left behind: {len(drill.left_behind)} of what the drill made"
    if not drill.components:
        yield "No component was brought back"
