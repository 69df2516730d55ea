"""A watch tells of drills that are overdue, failed, missed an objective, or nobody has signed off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.watch.drills import look_at_drills
from backstop.commands.watch.observe import observe_target
from backstop.commands.watch.part import EVERY, Part
from backstop.commands.watch.settings import ExpectedDrills
from backstop.commands.watch.sight import Sight
from backstop.model.drill import DrillRecord, SignOff
from backstop.model.finding import Finding, Level
from backstop.model.measured import Outcome
from backstop.model.observation import DrilledSeen, DrillSeen, Observation
from backstop.repository.drills import store_drill
from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations
from tests.evidenced import BASE, CHECKED, DRILL, phases
from tests.observing import TARGET, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

DAY = timedelta(days=1)
MONTHLY = ExpectedDrills(scheduled=True, due_every=35 * DAY, sign_off_within=7 * DAY)


class Rehearsed:
    """A target that rehearses monthly, was first looked at a moment ago, and whose inventory answers."""

    def __init__(self, world: World) -> None:
        self.target = replace(world.target(), settings=replace(world.target().settings, drills=MONTHLY))
        self.now = world.now
        self.previous = Observation(TARGET, self.now, 0.1, first_observed_at=self.now)
        self.drills: list[DrillRecord] | None = []

    def drill(self, **changes: Any) -> DrillRecord:
        """One that passed, and ended just now."""
        assert self.drills is not None
        self.drills.insert(0, _drill(self.now, **changes))
        return self.drills[0]

    def expect(self, **changes: Any) -> None:
        settings = self.target.settings
        self.target = replace(self.target, settings=replace(settings, drills=replace(MONTHLY, **changes)))

    def watch(self) -> Part:
        sight = Sight(target=self.target, now=self.now, rhythm=timedelta(minutes=5), previous=self.previous)
        return look_at_drills(sight, self.drills)

    def found(self) -> list[str]:
        return [one.subject for one in self.watch().findings]

    def only(self) -> Finding:
        (finding,) = self.watch().findings
        assert (finding.check, finding.level) == ("drill", Level.WARNING)
        return finding


def _drill(now: datetime, **changes: Any) -> DrillRecord:
    values = {"target": TARGET, "components": (BASE,), "ended_at": now, **changes}
    return replace(DRILL, drill_id=f"drill-{now:%Y%m%dT%H%M%SZ}-1f3a", **values)


@pytest.fixture
def rehearsed(world: World) -> Rehearsed:
    return Rehearsed(world)


def drilled(**changes: Any) -> Callable[[Rehearsed], DrillRecord]:
    return lambda target: target.drill(**changes)


def test_a_target_that_was_drilled_lately_is_in_order_and_says_what_came_of_it(rehearsed: Rehearsed):
    record = rehearsed.drill()
    rehearsed.now += 30 * DAY

    found = rehearsed.watch()

    assert found.findings == ()
    assert found.seen == (
        DrillSeen(
            drill_id=record.drill_id,
            scenario="all",
            ended_at=record.ended_at,
            passed=True,
            objectives_met=True,
            accepted=True,
            last_passed_at=record.ended_at,
            components=(DrilledSeen("base", BASE.downtime, BASE.loss, True, True),),
        ),
    )


def test_a_drill_is_overdue_when_the_last_one_that_passed_is_too_old(rehearsed: Rehearsed):
    rehearsed.drill()
    rehearsed.now += 35 * DAY
    assert rehearsed.found() == []

    rehearsed.now += DAY
    finding = rehearsed.only()

    assert finding.subject == "overdue"
    assert "36 d ago; one is expected every 35 d" in finding.sentence
    rehearsed.drill()
    assert rehearsed.found() == []


def test_a_target_that_was_never_drilled_is_told_of_after_that_time_and_not_at_once(rehearsed: Rehearsed):
    rehearsed.now += 35 * DAY
    assert rehearsed.found() == []

    rehearsed.now += DAY
    assert "no disaster was rehearsed in the 36 d since the first watch" in rehearsed.only().sentence


def test_drills_that_failed_do_not_count_as_rehearsed(rehearsed: Rehearsed):
    rehearsed.now += 30 * DAY
    rehearsed.drill(left_behind=("a folder",))
    rehearsed.now += 6 * DAY

    assert rehearsed.found() == ["overdue", "last drill"]


def test_where_no_drill_is_scheduled_none_is_overdue(rehearsed: Rehearsed):
    rehearsed.expect(scheduled=False)
    rehearsed.now += 400 * DAY

    assert rehearsed.found() == []


@pytest.mark.parametrize(
    ("spoil", "subject", "says"),
    [
        (
            drilled(components=(replace(BASE, failure="segment 7 is absent", downtime=None),)),
            "last drill",
            "the cluster did not come back: segment 7 is absent",
        ),
        (
            drilled(checklist=(replace(CHECKED[1], outcome=Outcome.FAILED, sentence="2 pages are damaged"),)),
            "last drill",
            "integrity: 2 pages are damaged",
        ),
        (drilled(left_behind=("scratch /s is busy",)), "last drill", "scratch /s is busy"),
        (
            drilled(components=(replace(BASE, downtime=timedelta(hours=2)),)),
            "objectives",
            "missed the RTO of the cluster",
        ),
        (
            drilled(components=(replace(BASE, loss=timedelta(hours=2)),)),
            "objectives",
            "missed the RPO of the cluster",
        ),
        (
            lambda target: target.drill(sign_off=SignOff("ada", target.now, False)),
            "sign-off",
            "ada did not accept",
        ),
    ],
    ids=["not back", "a check", "left behind", "rto", "rpo", "refused"],
)
def test_a_drill_that_did_not_show_what_it_should_is_a_warning_until_the_next_one(
    rehearsed: Rehearsed, spoil: Callable[[Rehearsed], DrillRecord], subject: str, says: str
):
    spoil(rehearsed)
    finding = rehearsed.only()

    assert finding.subject == subject
    assert says in finding.sentence
    rehearsed.now += DAY
    rehearsed.drill()
    assert rehearsed.found() == []


def test_a_drill_that_nobody_signs_off_is_told_of_until_somebody_does(rehearsed: Rehearsed):
    record = rehearsed.drill(sign_off=None)
    rehearsed.now += 7 * DAY
    assert rehearsed.found() == []
    rehearsed.now += DAY / 2

    finding = rehearsed.only()
    assert finding.subject == "sign-off"
    assert f"--drill {record.drill_id} --accepted" in finding.next_step
    rehearsed.drills = [replace(record, sign_off=SignOff("ada", rehearsed.now, True))]
    assert rehearsed.found() == []


def test_while_nobody_knows_of_drills_nothing_is_said_and_the_last_one_stays_known(rehearsed: Rehearsed):
    rehearsed.drill(left_behind=("a folder",))
    (known,) = rehearsed.watch().seen
    rehearsed.previous = replace(rehearsed.previous, drill=known)
    rehearsed.drills = None
    rehearsed.now += 60 * DAY

    assert rehearsed.watch() == Part(seen=(known,))


@pytest.mark.integration
def test_while_the_inventory_is_away_findings_of_drills_stay_as_they_are(remembered: World):
    remembered.inventory = Inventory(replace(remembered.inventory.connection, port=1))

    observed = observe_target(
        remembered.target(),
        inventory=remembered.inventory,
        clock=lambda: remembered.now,
        rhythm=remembered.rhythm,
    )

    assert ("drill", EVERY) in observed.unjudged


@pytest.mark.integration
def test_a_drill_counts_as_a_restore_for_the_forecast_and_forecasts_are_judged_by_it(remembered: World):
    for day in range(4):
        remembered.dump(day)  # and proven, in both repositories
    before = remembered.watch().observation.component("dump")
    size = before.newest.plain_bytes
    recovery = replace(
        BASE, component="dump", bytes=size, segments=0, phases=phases(remembered.now, detect=900, restore=64)
    )
    store_drill(remembered.inventory, _drill(remembered.now, components=(recovery,)))

    observed = remembered.watch().observation
    after = observed.component("dump")

    assert (before.forecast.samples, before.accuracy.judged, before.accuracy.within) == (8, 5, 5)
    assert after.forecast.samples == 9
    assert after.forecast.high_seconds > before.forecast.high_seconds
    assert (after.accuracy.judged, after.accuracy.within) == (6, 5), "64 s were not foretold"
    assert Observations(remembered.inventory.connection).of(TARGET) == observed
