"""Drills, sign-offs and incidents as documents that are signed, stored and read again."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.errors import IntegrityError
from backstop.model.canonical import canonical_json
from backstop.model.drill_document import drill_document, drill_from, sign_off_document, sign_off_from
from backstop.model.incident_document import incident_document, incident_from
from backstop.model.measured import Outcome
from tests.evidenced import DRILL, FAILED_DRILL, INCIDENT


@pytest.mark.parametrize("record", [DRILL, FAILED_DRILL], ids=["passed", "failed"])
def test_a_drill_comes_back_as_it_was(record):
    stored = canonical_json(drill_document(record))

    assert drill_from(json.loads(stored)) == record


def test_an_incident_comes_back_with_its_whole_journal():
    stored = canonical_json(incident_document(INCIDENT))

    assert incident_from(json.loads(stored)) == INCIDENT


def test_a_sign_off_by_itself_comes_back_as_it_was():
    assert sign_off_from(sign_off_document(DRILL.sign_off), drill_id=DRILL.drill_id) == DRILL.sign_off


def test_times_and_durations_are_written_as_others_read_them():
    document = drill_document(DRILL)

    assert document["began_at"] == "2026-11-26T12:00:00.000000Z"
    assert document["components"][0]["rpo"] == 300
    assert document["checklist"][0]["outcome"] == "passed"


def test_names_that_are_no_text_are_stored_with_a_mark_in_their_place():
    odd = replace(DRILL, left_behind=("file caf\udce9\x00\u202e is busy",))

    document = drill_document(odd)

    assert document["left_behind"] == ["file caf\ufffd\ufffd\ufffd is busy"]
    assert canonical_json(document)


def test_remarks_keep_their_lines():
    said = replace(DRILL.sign_off, remarks="first\nsecond")

    assert sign_off_from(sign_off_document(said), drill_id="drill-1").remarks == "first\nsecond"


def test_a_field_of_a_later_version_is_left_out():
    assert drill_from(drill_document(DRILL) | {"weather": "rain"}) == DRILL


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({"components": 3}, "components"),
        ({"began_at": "yesterday"}, "began_at"),
        ({"began_at": "2026-11-26T12:00:00"}, "has no time zone"),
    ],
)
def test_a_malformed_document_is_refused_by_name(spoil, says):
    with pytest.raises(IntegrityError, match=says) as refused:
        drill_from(drill_document(DRILL) | spoil)

    assert DRILL.drill_id in refused.value.message
    assert refused.value.hint


def test_an_incident_knows_how_long_people_were_waited_for():
    assert INCIDENT.waited(now=INCIDENT.ended_at) == timedelta(seconds=609 + 595)
    assert INCIDENT.recovered


@pytest.mark.parametrize(
    "spoil",
    [
        {"components": ()},
        {"components": (replace(INCIDENT.components[0], failure="the key is gone"),)},
        {"checklist": (replace(INCIDENT.checklist[0], outcome=Outcome.NOT_DONE),)},
    ],
    ids=["nothing", "one is not back", "something was not looked at"],
)
def test_an_incident_is_recovered_only_when_all_is_back_and_was_looked_at(spoil):
    assert not replace(INCIDENT, **spoil).recovered
