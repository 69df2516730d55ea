"""The first page of an auditor's bundle: exceptions first, what was done, and only what was counted."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.model.evidence import ChainHead
from backstop.reports import render_cover
from tests.evidenced import (
    BASE,
    DRILL,
    FAILED_DRILL,
    FAILED_PROOF,
    INCIDENT,
    NOON,
    PROOF,
    evidence,
    signed_off_later,
)
from tests.reports.pages import OURS, Page

LOCAL, S3 = "5f0c9a52-local", "77aa-s3"


def numbered(*subjects):
    return [evidence(one, number=number) for number, one in enumerate(subjects, 1)]


def cover(records, verdict=(), **changed):
    arguments = {
        "target": "calibrify",
        "begins_at": NOON - timedelta(days=40),
        "ends_at": NOON + timedelta(days=1),
        "records": records,
        "verdict": verdict,
        "heads": {LOCAL: ChainHead(9, "ab" * 32)},
        "names": {LOCAL: "local", S3: "s3"},
        "reports": {(LOCAL, 1): "local/reports/00000001.html"},
        "exported_at": NOON + timedelta(days=2),
    }
    return render_cover(**(arguments | changed))


def words_of(*arguments, **named):
    return Page(cover(*arguments, **named)).words


WELL = replace(DRILL, components=(BASE,))
ALL = numbered(PROOF, FAILED_PROOF, DRILL, FAILED_DRILL, INCIDENT)


def test_exceptions_stand_before_everything_else():
    words = words_of(ALL, ["record 3 of repository s3 is absent"])

    first = words.index("Exceptions")
    for said in (
        "Chain of records: record 3 of repository s3 is absent",
        "Proof of 20261125T010000Z-dump differed: table public.equipment",
        f"Drill {FAILED_DRILL.drill_id} failed",
        f"Drill {DRILL.drill_id} missed RTO of files: config",
        f"Incident {INCIDENT.incident_id} missed RPO of files: media",
        f"Drill {FAILED_DRILL.drill_id} is not signed off in this period.",
    ):
        assert first < words.index(said) < words.index("In numbers"), said


def test_without_exceptions_it_says_so_and_only_then():
    assert "None in these records:" in words_of(numbered(PROOF, WELL))
    assert "None in these records:" not in words_of(numbered(PROOF, WELL), ["a hole"])
    assert "None in these records:" not in words_of(ALL)


def test_what_was_not_done_at_all_is_an_exception_too():
    words = words_of(numbered(PROOF))

    assert "Absent: No drill was carried out in this period." in words


def test_what_stands_in_every_repository_is_counted_once():
    copies = [replace(one, repository_id=S3) for one in ALL[2:]]

    words = words_of([*ALL, *copies])

    assert "2 drills 1 drills that failed 1 incidents" in words
    assert "3 in local 3 in s3" in words


def test_a_later_sign_off_counts_for_its_drill():
    unsigned = replace(WELL, sign_off=None)

    words = words_of([*numbered(PROOF, unsigned), signed_off_later(WELL.drill_id, DRILL.sign_off, number=3)])

    assert "1 of 1 drill signed off, by ada." in words
    assert "is not signed off" not in words


def test_a_drill_that_was_not_accepted_is_an_exception():
    refused = replace(WELL, sign_off=replace(DRILL.sign_off, accepted=False, remarks="too slow"))

    assert f"Drill {WELL.drill_id} was not accepted by ada: too slow" in words_of(numbered(PROOF, refused))


def test_every_source_is_named_with_what_was_done_and_what_is_not_shown():
    words = words_of(ALL)

    for source in ("ISO/IEC 27001:2022, Annex A, 8.13", "ISO/IEC 27002:2022, 8.13", "A1.2", "A1.3"):
        assert source in words
    assert "2 restores of 2 backups into scratch" in words
    assert "of 1 backup a restore matched." in words
    assert "2 drills, of which 1 passed" in words
    assert "8 times against an objective" in words
    assert "Not shown by them" in words


def test_nothing_is_claimed():
    words = words_of(ALL).lower()

    assert not re.search(r"complian|conform|certif|satisf|fulfil", words)


def test_an_empty_period_invents_no_figure():
    words = words_of([])

    assert "No backup was restored and compared in this period." in words
    assert "No objective was measured by a drill in this period." in words
    assert "0 backups proven by a restore" in words


def test_only_what_lies_in_the_bundle_is_linked():
    reports = {
        (LOCAL, 1): "local/reports/00000001.html",
        (LOCAL, 2): "javascript:alert(1)",
        (LOCAL, 3): "https://example.org/x.html",
        (LOCAL, 4): "../../etc/passwd",
        (LOCAL, 5): "//example.org/x.html",
    }

    page = Page(cover(ALL, reports=reports))

    assert [one["href"] for one in page.all("a")] == ["local/reports/00000001.html"]
    assert {tag for tag, _ in page.elements} <= OURS


def test_the_heads_to_be_kept_stand_there():
    assert "9 " + "ab" * 32 in words_of(ALL)


def test_a_record_that_cannot_be_read_is_an_exception_and_not_the_end():
    broken = replace(ALL[2], document={"drill_id": "drill-x"})

    words = words_of([*ALL[:2], broken])

    assert "the document of drill 'drill-x' is malformed" in words


@pytest.mark.parametrize("records", [ALL, []], ids=["all", "none"])
def test_the_same_records_in_another_order_give_the_same_bytes(records):
    assert cover(records) == cover(list(reversed(records)))
