"""What is said to stakeholders and to everybody."""

from __future__ import annotations

import json

import pytest

from backstop.commands.disaster.texts import MOMENTS, TextSources, message_of
from tests.telling import DATA, WHAT, FakeIncident, after, part

INTERNAL = (WHAT, DATA, "db1", "calibrify", "incident-", "s3-frankfurt", "20261126T010000Z", "media", "ann")


def in_every_state() -> list[FakeIncident]:
    fresh, under_way, broken, back = (FakeIncident() for _ in range(4))
    under_way.step("recover:base", "running", began_at=after(5))
    broken.step("recover:base", "failed", began_at=after(5), sentence=f"there is no room in {DATA}")
    for component in ("base", "tree:media"):
        back.step(f"recover:{component}", "passed", began_at=after(5))
    return [fresh, under_way, broken, back]


def test_at_the_start_stakeholders_read_what_is_lost_what_is_done_and_how_long_it_will_take():
    text = message_of("start", FakeIncident().situation(after(1)), TextSources()).text

    assert f"database server: {DATA} is gone" in text
    assert "Everything as new as it can be had" in text
    assert "will be lost: what was changed after 2026-11-26 14:18 UTC, 2 min of work" in text
    assert (
        "about 20 min more, so at about 2026-11-26 14:41 UTC; in nine of ten cases by 2026-11-26 14:51"
        in text
    )


def test_while_it_goes_on_the_estimate_is_of_what_is_left():
    incident = FakeIncident(waited_seconds=180)
    incident.step("recover:base", "passed", began_at=after(0))

    text = message_of("progress", incident.situation(after(10)), TextSources()).text

    assert "10 min since it was declared, 3 min of them waiting for people" in text
    assert "database server: back" in text
    assert "files (media): waiting" in text
    assert "about 10 min more" in text


def test_where_nothing_is_asked_nobody_is_told_that_it_was_validated():
    incident = FakeIncident()
    for step in ("recover:base", "recover:tree:media"):
        incident.step(step, "passed")
    incident.step("validate:functionality", "skipped")

    message = message_of("end", incident.situation(after(25)), TextSources())

    assert "recovered; nobody has asked it whether it works" in message.text
    assert message.public.state == "resolved"


def test_at_the_end_it_says_what_was_lost():
    incident = FakeIncident()
    incident.step("recover:base", "passed", facts={"loss_seconds": 0.0})
    incident.step("recover:tree:media", "passed")

    message = message_of("end", incident.situation(after(25)), TextSources())

    assert "recovered and validated, 25 min after it was declared" in message.text
    assert "database server: back; lost: nothing is lost" in message.text
    assert "files (media): back; lost: what was changed after 2026-11-26 14:18 UTC" in message.text
    assert message.public.state == "resolved"


def test_a_recovery_that_failed_is_never_called_over():
    incident = FakeIncident()
    incident.step("recover:base", "failed", sentence="no way leads there")

    message = message_of("end", incident.situation(after(25)), TextSources())

    assert message.public.state == "investigating"
    assert "not everything is back" in message.subject
    assert "failed: no way leads there" in message.text
    assert "not everything is back" in message.public.text


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_everybody_reads_has_no_names_and_no_paths_of_ours(moment):
    for incident in in_every_state():
        public = message_of(moment, incident.situation(after(8)), TextSources()).public
        shown = f"{public.title} {public.text} {public.body}"

        assert [word for word in INTERNAL if word in shown] == []


def test_all_trees_are_one_to_the_outside_and_the_worst_of_them_counts():
    incident = FakeIncident(
        parts=[part("tree:media", loss_seconds=60.0), part("tree:config", loss_seconds=3600.0)]
    )

    text = message_of("start", incident.situation(after(1)), TextSources()).public.text

    assert text.count("Files:") == 1
    assert "1 h of work" in text


def test_the_status_page_is_sent_json_with_the_time_by_which_it_is_back():
    public = message_of("start", FakeIncident().situation(after(0)), TextSources()).public

    assert json.loads(public.body) == {
        "state": "identified",
        "title": public.title,
        "text": public.text,
        "until": "2026-11-26T14:50:00+00:00",
    }


def test_nothing_is_promised_that_nobody_knows():
    incident = FakeIncident(parts=[part("base", forecast=None, loss_seconds=None, recovered_to=None)])

    message = message_of("start", incident.situation(after(0)), TextSources())

    assert message.public.until is None
    assert "How long: not known" in message.public.text
    assert "how much that is, is not known" in message.text


def test_a_loss_that_is_only_bounded_is_told_as_that_to_insiders():
    says = "not known, at most 3 min"
    incident = FakeIncident(parts=[part("base", loss_seconds=None, loss_says=says)])

    message = message_of("start", incident.situation(after(0)), TextSources())

    assert f"what was changed after 2026-11-26 14:18 UTC; {says}" in message.text
    assert "how much that is, is not known" in message.public.text


def test_own_templates_are_used_for_each_of_the_two():
    sources = TextSources(
        stakeholders={"start": "{{ incident.target }} {{ option.title }}, {{ estimate.median }}"},
        public={"start": "Sorry! {{ incident.components | join(' + ') }}"},
        body='{"message": {{ text | tojson }}, "status": 1}',
    )

    message = message_of("start", FakeIncident().situation(after(0)), sources)

    assert message.text == "calibrify-prod Everything as new as it can be had, 20 min"
    assert json.loads(message.public.body) == {"message": "Sorry! database + files", "status": 1}
    assert message.doubts == ()


@pytest.mark.parametrize(
    "template",
    ["{{ incident.no_such }}", "{{ ().__class__.__base__.__subclasses__() }}", "{{ 1 / 0 }}"],
)
def test_a_template_that_fails_silences_nobody_and_is_named(template):
    sources = TextSources(stakeholders={"start": template}, public={"start": template}, body=template)

    message = message_of("start", FakeIncident().situation(after(0)), sources)

    assert f"{DATA} is gone" in message.text
    assert json.loads(message.public.body)["state"] == "identified"
    assert [doubt.partition(":")[0] for doubt in message.doubts] == [
        "texts.start",
        "status_page.texts.start",
        "status_page.body",
    ]


def test_a_body_that_is_no_json_is_not_sent():
    message = message_of("end", FakeIncident().situation(after(0)), TextSources(body="{{ title }}"))

    assert json.loads(message.public.body)["title"] == message.public.title
    assert message.doubts[0].startswith("status_page.body")
