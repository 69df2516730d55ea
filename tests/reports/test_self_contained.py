"""Every report is one file that fetches nothing, runs nothing, and says the same each time."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta

import pytest

from backstop.errors import IntegrityError
from backstop.model.incident import Event
from backstop.reports import render_report
from tests.evidenced import (
    DRILL,
    FAILED_DRILL,
    FAILED_PROOF,
    INCIDENT,
    PROOF,
    evidence,
    signed_off_later,
)
from tests.reports.pages import OURS, Page

RECORDS = {
    "drill": evidence(DRILL),
    "failed drill": evidence(FAILED_DRILL, number=3, previous="ab" * 32),
    "incident": evidence(INCIDENT),
    "proof": evidence(PROOF),
    "failed proof": evidence(FAILED_PROOF),
    "sign-off": signed_off_later(DRILL.drill_id, DRILL.sign_off),
}
every_kind = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}]]>--><!--\u202e\x1b[31m"
LONG = "W" * 5000


@every_kind
def test_a_report_fetches_nothing_and_runs_nothing(record):
    page = Page(render_report(record))

    assert not page.wrong
    assert {tag for tag, _ in page.elements} <= OURS
    for tag, attributes in page.elements:
        assert not {
            name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")
        }
        # What is drawn may refer to the page itself.
        addresses = [attributes.get(name) or "" for name in ("href", "fill", "stroke", "xlink:href")]
        assert all("://" not in one and not one.startswith("//") for one in addresses), (tag, addresses)
    assert not re.search(r"@import|url\((?!#)", render_report(record))


@every_kind
def test_its_policy_allows_its_own_stylesheet_alone(record):
    html = render_report(record)

    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    (policy,) = [one["content"] for one in Page(html).all("meta") if one.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]


@every_kind
def test_the_same_record_gives_the_same_bytes(record):
    assert render_report(record).encode() == render_report(replace(record)).encode()


@every_kind
def test_nobody_needs_to_see_it_to_read_it(record):
    page = Page(render_report(record))

    (language,) = [one["lang"] for one in page.all("html")]
    assert language == "en"
    assert len(page.all("h1")) == 1
    assert all(one.get("scope") for one in page.all("th"))
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg.get("role") == "img" and svg.get("aria-label"))
    for region in [one for one in page.all("div") if one.get("class") == "scroll"]:
        assert region.get("tabindex") == "0"
        assert region.get("aria-label")


def spoiled(value, text):
    """The same with every text of it replaced."""
    if isinstance(value, str) and type(value) is str:
        return text
    if isinstance(value, tuple | list):
        return type(value)(spoiled(one, text) for one in value)
    if isinstance(value, dict):
        return {name: spoiled(one, text) for name, one in value.items()}
    if is_dataclass(value):
        return replace(
            value,
            **{one.name: spoiled(getattr(value, one.name), text) for one in fields(value) if one.init},
        )
    return value


@pytest.mark.parametrize("subject", [DRILL, FAILED_DRILL, INCIDENT], ids=lambda one: type(one).__name__)
def test_no_text_of_a_record_becomes_markup(subject):
    hostile = spoiled(subject, HOSTILE)

    html = render_report(replace(evidence(hostile), target=HOSTILE, subject=HOSTILE, repository_id=HOSTILE))

    page = Page(html)
    assert not page.wrong
    assert {tag for tag, _ in page.elements} <= OURS
    assert not [one for _, one in page.elements for name in one if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.words, "it is shown as what it is"
    assert "{{ 7*7 }}" in page.words
    assert not [one for one in html if not one.isprintable() and one != "\n"]


def test_no_text_of_a_proof_becomes_markup():
    hostile = replace(
        FAILED_PROOF, differences=(HOSTILE,), isolation=HOSTILE, host=HOSTILE, checks={HOSTILE: HOSTILE}
    )

    page = Page(render_report(evidence(hostile)))

    assert not page.wrong
    assert {tag for tag, _ in page.elements} <= OURS
    assert page.words.count("<script>alert(1)</script>") >= 4


@pytest.mark.parametrize("subject", [DRILL, INCIDENT], ids=lambda one: type(one).__name__)
def test_a_text_without_an_end_ends_in_a_report_and_says_how_long_it_is(subject):
    html = render_report(evidence(spoiled(subject, LONG)))

    assert LONG not in html
    assert "5,000 characters in the record" in html


def test_thousands_of_details_are_counted_and_not_all_shown():
    many = replace(DRILL.checklist[1], details=tuple(f"row {number}" for number in range(5000)))

    words = Page(render_report(evidence(replace(DRILL, checklist=(many,))))).words

    assert "row 99 " in words
    assert "row 100 " not in words
    assert "and 4900 more" in words


ODD_DRILLS = {
    "nothing was planned": replace(DRILL, components=(), checklist=()),
    "it ended when it began": replace(DRILL, ended_at=DRILL.began_at, components=FAILED_DRILL.components),
    "signed off before it ended": replace(
        DRILL, sign_off=replace(DRILL.sign_off, at=DRILL.began_at - timedelta(days=1))
    ),
    "a scenario of a later version": replace(DRILL, scenario="flood:cellar"),
    "a loss of years": replace(
        DRILL, components=(replace(DRILL.components[0], loss=timedelta(days=9000), rto=timedelta(seconds=0)),)
    ),
    "phases the wrong way round": replace(
        DRILL,
        components=(
            replace(
                DRILL.components[0],
                phases=tuple(
                    replace(one, began_at=one.ended_at, ended_at=one.began_at)
                    for one in DRILL.components[0].phases
                ),
                downtime=timedelta(seconds=-5),
            ),
        ),
    ),
}


@pytest.mark.parametrize("drill", ODD_DRILLS.values(), ids=ODD_DRILLS)
def test_odd_drills_are_drawn_within_the_page(drill):
    page = Page(render_report(evidence(drill)))

    assert not page.wrong
    for one in page.all("rect"):
        assert float(one.get("width") or 0) >= 0
        assert 0 <= float(one.get("x") or 0) <= 1000


def test_an_odd_journal_is_shown_as_far_as_it_can_be_read():
    odd = [
        Event(
            one.number, one.at, one.kind, {"step": 7, "outcome": "weather", "low_seconds": 1e300, "for": None}
        )
        for one in INCIDENT.events
    ]
    incident = replace(
        INCIDENT, events=tuple(odd), assessment={"options": 3, "components": ["x", {"state": []}]}
    )

    page = Page(render_report(evidence(incident)))

    assert not page.wrong
    assert "weather" in page.words


@pytest.mark.parametrize("kind", ["drill", "incident", "proof", "sign-off"])
def test_a_malformed_document_is_refused_by_name(kind):
    record = replace(RECORDS[kind], document={"at": "yesterday"})

    with pytest.raises(IntegrityError) as refused:
        render_report(record)

    assert refused.value.hint


def test_a_report_names_its_record_and_the_one_before_and_how_to_check_both():
    words = Page(render_report(RECORDS["failed drill"])).words

    assert "Record 3 (drill) of calibrify" in words
    assert "ab" * 32 in words
    assert "python -m backstop evidence verify --target calibrify" in words
