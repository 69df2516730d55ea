"""A drill's plan between tasks, and what is measured once everything was looked at."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from backstop.model.drill_measures import untried, validated
from backstop.model.drill_plan import DrillPlan, PlannedComponent
from backstop.model.measured import CheckedItem, ComponentRecovery, Outcome, Phase
from backstop.model.observation import ForecastSeen

NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
MEDIA = PlannedComponent(
    component="tree:media",
    repository="s3",
    label="20261126T020000Z-tree-media",
    recovers_to=NOON - timedelta(hours=10),
    loss=timedelta(hours=10),
    loss_says="its age",
    rto=timedelta(hours=4),
    forecast=ForecastSeen(10.0, 8.0, 90.0, 5),
)
BASE = PlannedComponent(
    component="base",
    repository="local",
    label="20261126T010000Z-full",
    recovers_to=NOON,
    chain=("20261126T010000Z-full",),
    point="latest",
    timeline=1,
    trusted_until=NOON,
)
PLAN = DrillPlan(
    drill_id="drill-20261126T190000Z-1f3a",
    target="calibrify",
    scenario="repository:local",
    seed="5e3d",
    window_begins_at=NOON - timedelta(days=30),
    window_ends_at=NOON,
    disaster_at=NOON,
    began_at=NOON + timedelta(hours=7),
    planned_at=NOON + timedelta(hours=7, seconds=3),
    directory="/srv/drills",
    components=(MEDIA, BASE),
    repositories=("s3",),
    notes=("s4 is passed over: no answer",),
)
RECOVERY = ComponentRecovery(
    component="base",
    repository="s3",
    label="20261126T010000Z-full",
    lost_at=NOON,
    phases=(Phase("fetch", NOON, NOON + timedelta(seconds=5)),),
    downtime=timedelta(seconds=8),
)


def checked(component: str, seconds: float | None) -> CheckedItem:
    return CheckedItem("integrity", component, Outcome.PASSED, "all is well", seconds=seconds)


def test_a_plan_survives_json() -> None:
    assert DrillPlan.from_dict(json.loads(json.dumps(PLAN.to_dict()))) == PLAN


def test_a_plan_names_its_components_in_order() -> None:
    assert PLAN.names == ("tree:media", "base")
    assert PLAN.component("base") is BASE
    with pytest.raises(KeyError):
        PLAN.component("dump")


def test_a_plan_says_what_is_lost_and_what_comes_back_from_where() -> None:
    said = "\n".join(PLAN.sentences)

    assert "everything is lost, and repository local with it (seed 5e3d)" in said
    assert "tree:media from 20261126T020000Z-tree-media in s3; takes about 10 s, up to 1 min 30 s" in said
    assert "base from 20261126T010000Z-full in local, then WAL to latest" in said
    assert said.endswith("no answer")


def test_looking_at_a_component_is_part_of_its_downtime() -> None:
    found = validated(
        RECOVERY, [checked("base", 2), checked("", 1), checked("tree:media", 50), checked("base", None)]
    )

    assert found.downtime == timedelta(seconds=11)
    assert [(one.name, one.seconds) for one in found.phases] == [("fetch", 5), ("validate", 3)]
    assert validated(found, [checked("base", 4)]).phases[-1].seconds == 7


@pytest.mark.parametrize(
    "recovery",
    [
        ComponentRecovery("base", "s3", "l", NOON, failure="it is damaged"),
        ComponentRecovery("base", "s3", "l", NOON, downtime=timedelta(seconds=8)),
    ],
)
def test_what_is_not_back_is_not_measured(recovery: ComponentRecovery) -> None:
    assert validated(recovery, [checked("base", 2)]) is recovery


def test_what_nobody_has_looked_at_keeps_its_measures() -> None:
    assert validated(RECOVERY, []) is RECOVERY


def test_a_component_to_which_the_drill_did_not_come_has_not_met_its_objective() -> None:
    found = untried(PLAN, MEDIA)

    assert "not tried" in found.failure
    assert found.rto_met is False
