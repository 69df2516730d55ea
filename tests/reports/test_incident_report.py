"""What the report of an incident says and draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.model.incident import Event, EventKind
from backstop.reports import render_report
from backstop.reports.incident import view_incident
from tests.evidenced import INCIDENT, NOON, evidence
from tests.reports.pages import Page

SECOND = timedelta(seconds=1)


def words_of(incident):
    return Page(render_report(evidence(incident))).words


def lane(name):
    return next(one for one in view_incident(INCIDENT).drawing.lanes if one.label == name)


def test_waiting_for_people_is_hatched_across_all_lanes_and_counted_apart():
    drawing = view_incident(INCIDENT).drawing

    assert [band.look for band in drawing.bands] == ["wait", "wait"]
    assert [band.title for band in drawing.bands] == [
        "waiting for approval of a plan",
        "waiting for space on /srv",
    ]
    assert "Of that, waiting for people (not counted) 20 min 4 s" in words_of(INCIDENT)


def test_a_failed_attempt_and_its_repetition_stand_on_one_line():
    recover = lane("Recover cluster")

    assert [bar.look for bar in recover.bars] == ["critical", "good"]
    assert "(2 tries): failed after 4 min 13 s: no space left on /srv; then passed" in recover.says
    assert "done again, attempt 2" in words_of(INCIDENT)


def test_a_step_that_was_left_out_is_not_shown_as_failed():
    words = words_of(INCIDENT)

    assert "Provide the infrastructure left out grace left it out: it stands" in words
    assert [mark.tone for mark in lane("Provide the infrastructure").marks] == ["unknown"]


def test_a_step_that_never_ended_says_so():
    events = [one for one in INCIDENT.events if one.number <= 15]

    words = words_of(replace(INCIDENT, events=tuple(events), components=(), ended_at=None))

    assert "Recover cluster did not end" in words
    assert "It goes on" in words


def test_the_step_that_makes_the_record_is_not_called_unfinished_in_it():
    began = Event(98, INCIDENT.ended_at, EventKind.STEP_BEGAN, {"step": "record", "run": "a3e488d6"})

    words = words_of(replace(INCIDENT, events=(*INCIDENT.events, began)))

    assert "Record the incident this record" in words
    assert "did not end" not in words
    assert "a3e488d6" not in words, "which program wrote a line is nothing for people"


def test_the_line_of_an_objective_stands_so_much_later_as_people_were_waited_for():
    recover = lane("Recover cluster")
    (flag,) = recover.flags
    scale = recover.bars[1].width / 1200

    assert flag.label == "RTO 1 h"
    assert flag.at - recover.bars[0].left == pytest.approx((3600 + 609 + 595 - 647) * scale, rel=0.01)


def test_what_was_told_when_and_what_did_not_arrive():
    words = words_of(INCIDENT)

    assert "2026-11-26 12:10:43 UTC status page Major outage no HTTP 503" in words
    assert "Messages that did not arrive: 1 of 3" in words
    assert [mark.tone for mark in lane("told").marks] == ["good", "critical", "good"]


def test_estimates_are_held_against_what_came_with_waiting_left_out():
    first, second = view_incident(INCIDENT).estimates

    # All was back 5003 s after noon; 595 s of waiting lay between the first estimate and that.
    assert first.took == pytest.approx(5003 - 642 - 595)
    assert first.judged.word == "within the interval"
    assert second.took == pytest.approx(5003 - 2702)


def test_an_estimate_that_was_too_hopeful_says_so():
    hopeful = Event(
        99, NOON + SECOND, EventKind.ESTIMATED, {"low_seconds": 1, "median_seconds": 2, "high_seconds": 3}
    )

    assert "slower than told" in words_of(replace(INCIDENT, events=(hopeful, *INCIDENT.events)))


def test_an_estimate_that_nobody_could_give_is_shown_as_none():
    unknown = Event(
        99,
        NOON + SECOND,
        EventKind.ESTIMATED,
        {"low_seconds": None, "median_seconds": None, "high_seconds": None},
    )

    assert "nobody knew" in words_of(replace(INCIDENT, events=(unknown, *INCIDENT.events)))


def test_the_result_of_each_component_and_the_validation_stand_there():
    words = words_of(INCIDENT)

    assert "Recovered" in words
    assert "1 of 4 objectives missed: RPO of files: media" in words
    assert "Check integrations not applicable everything targets.yaml names none" in words


def test_damage_options_and_the_choice_stand_there():
    assessment = {
        "components": [
            {"component": "base", "state": "gone", "sentence": "/srv/pg is empty", "details": ["x"]}
        ],
        "options": [
            {
                "id": "newest",
                "title": "The newest point",
                "parts": [
                    {
                        "component": "base",
                        "repository": "local",
                        "label": "20261122T013000Z-full",
                        "proven": True,
                        "loss_seconds": 2,
                    }
                ],
                "median_seconds": 1800,
                "low_seconds": 1200,
                "high_seconds": 3000,
                "loss_seconds": 2,
                "recommended": True,
            },
            {"id": "dump", "title": "The newest dump", "parts": [], "loss_seconds": 40_000},
        ],
    }

    words = words_of(replace(INCIDENT, assessment=assessment, plan={"option": "newest"}))

    assert "cluster gone /srv/pg is empty x" in words
    assert "The newest point chosen recommended" in words
    assert "cluster from local, 20261122T013000Z-full, losing 2.0 s, proven" in words
    assert "30 min, 20 min to 50 min" in words


def test_every_line_of_the_journal_is_in_the_table():
    view = view_incident(INCIDENT)

    assert len(view.journal) == len(INCIDENT.events)
    assert "noted" in words_of(INCIDENT)
    assert "The disk of db-1 is to be replaced." in words_of(INCIDENT)


def test_an_incident_that_was_not_recovered_is_critical():
    lost = replace(INCIDENT.components[0], failure="the key is gone", downtime=None)

    html = render_report(evidence(replace(INCIDENT, components=(lost,), outcome="given up")))

    assert 'class="verdict critical"' in html
    assert "Not back: cluster. the key is gone" in Page(html).words
    assert "Closed as: given up" in Page(html).words
