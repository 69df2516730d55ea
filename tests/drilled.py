"""A drill that is planned, for tests of who plans, shows and carries it out."""

from __future__ import annotations

from backstop.model.drill_plan import DrillPlan, PlannedComponent
from tests.evidenced import BASE, CONFIG, DISASTER, DRILL, NOON


def planned(scenario: str = "all") -> DrillPlan:
    """Of the cluster and the configuration of ``calibrify``: what ``DRILL`` is the record of, or nearly."""
    return DrillPlan(
        drill_id=DRILL.drill_id,
        target=DRILL.target,
        scenario=scenario,
        seed="7",
        window_begins_at=DRILL.window_begins_at,
        window_ends_at=DRILL.window_ends_at,
        disaster_at=DISASTER,
        began_at=NOON,
        planned_at=NOON,
        directory="/scratch/drill",
        components=tuple(
            PlannedComponent(one.component, one.repository, one.label, DISASTER) for one in (BASE, CONFIG)
        ),
        repositories=("local", "s3"),
    )
