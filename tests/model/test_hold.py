"""What a hold is and says, and when it is over."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from backstop.errors import ConfigurationError, IntegrityError
from backstop.model.backup import BackupLabel, Signature
from backstop.model.hold import HoldDocument, Release, words

NOW = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
LABEL = BackupLabel("20261123T010000Z-dump")
DOCUMENT = HoldDocument(
    id="0123456789abcdef",
    label=LABEL,
    target="calibrify",
    reason="audit of the year",
    who="ada",
    placed_at=NOW,
    until=NOW + timedelta(days=30),
)


def test_a_hold_is_in_force_until_its_time_is_over():
    hold = DOCUMENT.hold(1)

    assert hold.in_force(NOW + timedelta(days=30) - timedelta(microseconds=1))
    assert not hold.in_force(NOW + timedelta(days=30))
    assert hold.state(NOW) == "in force"
    assert hold.state(NOW + timedelta(days=31)) == "over"


def test_a_hold_without_an_end_lasts_until_it_is_released():
    hold = replace(DOCUMENT, until=None).hold(1)

    assert hold.in_force(NOW + timedelta(days=36500))
    assert replace(hold, released_at=NOW).state(NOW) == "released"


def test_a_clock_that_went_back_leaves_a_hold_in_force():
    assert DOCUMENT.hold(1).in_force(NOW - timedelta(days=365))


def test_a_hold_says_whose_it_is_until_when_and_why():
    assert str(DOCUMENT.hold(2)) == "hold 2 by ada until 2026-12-23 01:00Z: audit of the year"
    assert str(replace(DOCUMENT, until=None).hold(1)) == "hold 1 by ada: audit of the year"


def test_a_hold_is_told_to_programs_with_times_as_the_repository_writes_them():
    told = replace(DOCUMENT, until=None).hold(1).to_dict()

    assert (told["label"], told["placed_at"], told["until"]) == (
        LABEL.text,
        "2026-11-23T01:00:00.000000Z",
        None,
    )


def test_what_is_stored_is_read_as_it_was_said():
    assert HoldDocument.from_dict(json.loads(DOCUMENT.to_json())) == DOCUMENT
    unending = replace(DOCUMENT, until=None)
    assert HoldDocument.from_dict(json.loads(unending.to_json())) == unending


@pytest.mark.parametrize(
    "changed",
    [{"type": "release"}, {"label": "x"}, {"until": "tomorrow"}, {"reason": None}],
    ids=lambda changed: next(iter(changed)),
)
def test_what_is_no_hold_is_not_read_as_one(changed):
    with pytest.raises(IntegrityError, match="malformed"):
        HoldDocument.from_dict({**json.loads(DOCUMENT.to_json()), **changed})


def test_words_that_would_steer_a_terminal_are_shown_without_their_power():
    raw = {**json.loads(DOCUMENT.to_json()), "reason": "audit\x1b[2J"}

    assert HoldDocument.from_dict(raw).reason == "audit�[2J"


@pytest.mark.parametrize("text", ["", " \n ", "x" * 501, "bell \x07", "\udcff"], ids=ascii)
def test_a_reason_is_a_line_that_can_be_read(text):
    with pytest.raises(ConfigurationError, match="reason"):
        words(text, "reason")


def test_white_space_in_a_reason_is_put_on_one_line():
    assert words(" audit\n of  the year ", "reason") == "audit of the year"


def test_a_release_is_read_as_it_was_said():
    release = Release(
        label=LABEL, target="calibrify", hold_sha256="0" * 64, who="ada", released_at=NOW
    ).with_signature(Signature("k", "v"))

    assert Release.from_dict(release.to_dict()) == release
    assert Release.from_dict({**release.to_dict(), "signature": None}).signature is None


@pytest.mark.parametrize("changed", [{"type": "hold"}, {"signature": 7}, {"label": "x"}])
def test_what_is_no_release_is_not_read_as_one(changed):
    release = Release(label=LABEL, target="calibrify", hold_sha256="0" * 64, who="ada", released_at=NOW)

    with pytest.raises(IntegrityError, match="malformed"):
        Release.from_dict({**release.to_dict(), **changed})
