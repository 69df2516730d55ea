"""What the report of a drill says and draws."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.model.observation import ForecastSeen
from backstop.reports import render_report
from backstop.reports.drawing import LEFT, RIGHT
from backstop.reports.drill import view_drill
from tests.evidenced import BASE, CONFIG, DRILL, FAILED_DRILL, HOUR, MEDIA, NOON, evidence, phases
from tests.reports.pages import Page


def words_of(drill):
    return Page(render_report(evidence(drill))).words


def test_passed_and_objectives_missed_are_told_apart():
    words = words_of(DRILL)

    assert "Passed" in words
    assert "Objectives: 1 of 5 objectives missed: RTO of files: config" in words
    assert 'class="verdict warning"' in render_report(evidence(DRILL)), "it is not simply good"


def test_a_failed_drill_says_first_what_failed():
    words = words_of(FAILED_DRILL)

    assert "Not back: cluster. segment 0000000100000012000000A4 is absent from local" in words
    assert words.index("Failed: Restore the test database") < words.index("Timeline")
    assert "Left behind: 1 of what the drill made" in words
    assert "Device or resource busy" in words


@pytest.mark.parametrize(
    ("components", "says"),
    [
        ((BASE, MEDIA), "all 4 objectives met"),
        ((replace(BASE, loss=None),), "1 of 2 objectives not known, none missed"),
        ((replace(BASE, rto=None, rpo=None),), "no objective is set"),
        ((replace(BASE, downtime=2 * HOUR),), "1 of 2 objectives missed: RTO of cluster"),
    ],
)
def test_objectives_are_met_missed_not_known_or_not_set(components, says):
    assert says in words_of(replace(DRILL, components=components))


def test_all_five_items_stand_there_also_what_was_not_recorded():
    words = words_of(replace(DRILL, checklist=DRILL.checklist[:2]))

    for title in (
        "Restore the test database",
        "Verify data integrity",
        "Test application functionality",
        "Check file permissions",
        "Validate configuration",
    ):
        assert title in words
    assert words.count("Nothing is recorded of it.") == 3


def test_the_moment_its_seed_and_its_window_stand_there():
    words = words_of(DRILL)

    assert "2026-11-22 14:32:00 UTC" in words
    assert "by seed 20261126-7 , between 2026-10-27 12:00:00 UTC and 2026-11-26 11:59:58 UTC" in words


def test_phases_are_drawn_to_scale():
    drawing = view_drill(DRILL).recovery
    cluster = drawing.lanes[0].bars
    per_second = [bar.width / phase.seconds for bar, phase in zip(cluster, BASE.phases, strict=True)]

    assert per_second[1] == pytest.approx(per_second[2], rel=0.01)
    assert per_second[2] == pytest.approx(per_second[3], rel=0.02)
    assert cluster[1].left == pytest.approx(cluster[0].right)


def test_the_objective_is_a_line_where_it_ends():
    drawing = view_drill(DRILL).recovery
    (flag,) = drawing.lanes[0].flags
    seconds = BASE.phases[2].seconds
    per_second = drawing.lanes[0].bars[2].width / seconds

    assert flag.at - LEFT == pytest.approx(3600 * per_second, rel=0.01)


def test_an_objective_far_behind_the_end_does_not_squeeze_what_happened():
    quick = replace(BASE, phases=BASE.phases[:1], downtime=timedelta(seconds=3))
    drawing = view_drill(replace(DRILL, components=(quick,), sign_off=None)).recovery

    assert drawing.lanes[0].bars[0].width > 0.9 * (RIGHT - LEFT)
    (flag,) = drawing.lanes[0].flags
    assert flag.beyond
    assert "RTO 1 h, beyond this drawing" in flag.label


def test_a_loss_over_its_objective_crosses_the_line_and_says_how_often():
    lost = replace(BASE, loss=timedelta(minutes=12))
    (lane,) = view_drill(replace(DRILL, components=(lost,))).lost.lanes

    assert lane.bars[0].look == "over"
    assert lane.bars[0].right > RIGHT
    assert lane.said == "12 min, 2.4 times"


def test_without_any_objective_no_loss_is_drawn_against_one():
    words = words_of(replace(DRILL, components=(replace(BASE, rpo=None),)))

    assert "No RPO is set that it could be held against" in words
    assert "half of what is allowed" not in words


def test_waiting_for_the_sign_off_is_drawn_apart_and_not_counted():
    drawing = view_drill(DRILL).recovery

    assert drawing.lanes[-1].label == "waiting for sign-off"
    assert [bar.look for bar in drawing.lanes[-1].bars] == ["wait"]
    assert "39 min 45 s, not counted" in words_of(DRILL)


def test_a_sign_off_says_who_when_and_what_and_without_one_there_is_room_for_it():
    assert "Signed off by ada" in words_of(DRILL)
    assert "RTO of configuration: restore it first next time." in words_of(DRILL)
    assert "Not signed off" in words_of(FAILED_DRILL)
    assert "Name Date Signature" in words_of(FAILED_DRILL)


def test_lines_of_a_remark_stay_lines():
    said = replace(DRILL.sign_off, remarks="first\nsecond")

    assert re.search(r'class="lines">first\nsecond<', render_report(evidence(replace(DRILL, sign_off=said))))


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(1188, "within the interval"), (600, "faster than foreseen"), (2000, "slower than foreseen")],
)
def test_a_forecast_is_held_against_what_was_measured(seconds, says):
    measured = replace(BASE, phases=phases(NOON, detect=3, replay=seconds))

    assert says in words_of(replace(DRILL, components=(measured,)))


def test_a_component_is_not_called_slow_because_it_waited_for_another():
    in_time = replace(MEDIA, forecast=ForecastSeen(3600, 3400, 3800, 4))
    assert in_time.downtime > timedelta(seconds=3800)

    [forecast] = view_drill(replace(DRILL, components=(in_time,))).forecasts

    assert forecast.measured == 1360 + 2011 + 240
    assert forecast.within


def test_a_component_that_lost_something_unknown_says_so():
    (lane,) = view_drill(replace(DRILL, components=(CONFIG,))).lost.lanes

    assert lane.said == "not known"
