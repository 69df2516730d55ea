"""A drill from its plan to its record: all is back elsewhere, nothing live is touched, nothing stays."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.drill.restored import RestoredComponent
from backstop.errors import LeaseHeldError, RestoreError
from backstop.model.drill_plan import DrillPlan
from backstop.model.measured import CheckedItem, Outcome
from tests.recovery_world import numbers

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.drill.drill import Drill
    from tests.drill_world import DrillWorld

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("drills"), pytest.mark.timeout(180)]


def live_files(folder: Path) -> list[tuple[str, int, int, bytes]]:
    return [
        (str(path), path.stat().st_ino, path.stat().st_ctime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def live_rows(drills: DrillWorld) -> tuple[list[int], int]:
    """What the live database has, and how many sessions it has ever been asked for."""
    with drills.world.source.server.connect() as session:
        rows = [row[0] for row in session.execute("SELECT n FROM public.ledger ORDER BY n").fetchall()]
        session.execute("SELECT pg_stat_force_next_flush()")
        count = session.execute("SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'").fetchone()
    return rows, count[0]


def test_everything_comes_back_elsewhere_as_it_was_and_nothing_live_is_touched(drills: DrillWorld) -> None:
    moment = drills.world.source.ledger.moments[7]
    seen = {}

    def look(plan: DrillPlan, restored: list[RestoredComponent]) -> list[CheckedItem]:
        for one in restored:
            if one.component == "base":
                seen["rows"] = drills.ledger(one)
                seen["again"] = drills.ledger(one)
            else:
                tree = one.component.removeprefix("tree:")
                seen[tree] = drills.files(one, tree)
        return [CheckedItem("integrity", "base", Outcome.PASSED, "as it should be", seconds=2.5)]

    drills.around.checks = look
    files, (rows, sessions) = live_files(drills.live), live_rows(drills)
    drill = drills.drill()
    record = drill.run(drill.plan(scenario="all", moment=moment, requested_by="ada"))

    assert [one.failure for one in record.components] == ["", "", ""]
    assert [one.component for one in record.components] == ["tree:config", "base", "tree:media"]
    assert seen == {
        "rows": [1, 2, 3, 4, 5, 6, 7], "again": [1, 2, 3, 4, 5, 6, 7],
        "config": ["first.txt"], "media": ["first.txt"],
    }  # fmt: skip
    assert record.passed
    assert record.requested_by == "ada"
    assert drills.around.records == [record]
    config, base, media = record.components
    assert [one.name for one in base.phases] == ["detect", "fetch", "replay", "validate"]
    assert [one.name for one in media.phases] == ["detect", "fetch", "restore", "validate"]
    assert base.phases[-1].seconds == 2.5
    # One after the other: the last one's users wait for all before it.
    assert config.downtime < base.downtime - timedelta(seconds=2.5) < media.downtime
    assert base.recovered_to == moment
    assert media.loss == moment - media.recovered_to > timedelta(0)
    # The live server was asked by this test alone, no command that reloads services was run.
    assert live_rows(drills) == (rows, sessions + 1)
    assert live_files(drills.live) == files
    assert not (drills.folder / "live-touched").exists()
    assert drills.leftovers() == []


@pytest.mark.parametrize("component", ["tree:media", pytest.param("base", marks=pytest.mark.long)])
def test_each_step_can_be_another_process_and_only_json_goes_between(
    drills: DrillWorld, component: str
) -> None:
    seen = []

    def look(plan: DrillPlan, restored: list[RestoredComponent]) -> tuple[()]:
        for one in restored:
            seen.append(drills.ledger(one) if component == "base" else drills.files(one, "media"))
        return [CheckedItem("integrity", component, Outcome.PASSED, "as it should be")]

    drills.around.checks = look
    scenario = "database" if component == "base" else component
    moment = drills.world.source.ledger.moments[8]
    planned = drills.drill(attended=False).plan(scenario=scenario, moment=moment)

    def anew() -> tuple[Drill, DrillPlan]:
        return drills.drill(attended=False), DrillPlan.from_dict(json.loads(json.dumps(planned.to_dict())))

    drill, plan = anew()
    drill.prepare(plan)
    drill, plan = anew()
    drill.restore(plan, component)
    drill, plan = anew()
    # Clearing a task does it again.
    document = json.loads(json.dumps(drill.restore(plan, component).to_dict()))
    restored = [RestoredComponent.from_dict(document)]
    drill, plan = anew()
    checklist = drill.check(plan, restored)
    assert [one.drill_id for one in drill.found()] == [plan.drill_id]
    drill, plan = anew()
    left = drill.tear_down(plan)
    assert drill.tear_down(plan) == left == ()
    record = drill.record(plan, restored, checklist, left)

    assert seen == [numbers(8) if component == "base" else ["first.txt"]]
    assert record.passed
    assert drills.leftovers() == []
    with pytest.raises(RestoreError, match="has no folder"):
        drill.restore(plan, component)


def test_two_drills_of_one_target_exclude_each_other(drills: DrillWorld) -> None:
    first, second = drills.drill(attended=False), drills.drill()
    one, other = first.plan(scenario="tree:media"), second.plan(scenario="tree:config")
    first.prepare(one)
    first.prepare(one)  # a task that is cleared does it again

    with pytest.raises(LeaseHeldError, match=rf"{one.drill_id} of calibrify is under way.*--tear-down"):
        second.run(other)
    assert first.restore(one, "tree:media").failure == ""
    first.tear_down(one)
    second.prepare(other)

    with pytest.raises(LeaseHeldError, match="under way"):
        first.prepare(one)
    second.tear_down(other)
    assert drills.leftovers() == []


def test_a_drill_that_tasks_have_forgotten_is_cleared_away_by_the_next(drills: DrillWorld) -> None:
    first = drills.drill(attended=False)
    plan = first.plan(scenario="tree:media")
    first.prepare(plan)
    first.restore(plan, "tree:media")
    journal = first.folder.of(plan.drill_id) / "drill.json"
    os.utime(journal, (0, 0))

    second = drills.drill()
    record = second.run(second.plan(scenario="tree:config"))

    assert record.passed
    assert drills.leftovers() == []


def test_a_component_the_drill_did_not_come_to_is_recorded_as_not_tried(drills: DrillWorld) -> None:
    drill = drills.drill()
    plan = drill.plan(scenario="all")

    record = drill.record(plan, [], [], ["/srv/drills/x could not be removed"])

    assert not record.passed
    assert all("not tried" in one.failure for one in record.components)
