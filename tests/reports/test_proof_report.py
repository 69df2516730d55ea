"""What the report of a proof says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.model.evidence import EvidenceKind, EvidenceRecord
from backstop.model.legacy_proof import LegacyProof
from backstop.reports import render_report
from backstop.reports.proof import view_proof
from tests.evidenced import BEFORE_THE_FIRST, FAILED_PROOF, MINUTE, NOON, PROOF, evidence
from tests.reports.pages import Page


def words_of(proof):
    return Page(render_report(evidence(proof))).words


def test_what_was_compared_and_that_it_matched():
    words = words_of(PROOF)

    assert "Matched: what was restored is what was backed up" in words
    assert "rows 18,204,118" in words
    assert "own user, no network, empty environment" in words
    assert "18.4" in words


def test_a_difference_stands_first_with_its_object():
    words = words_of(FAILED_PROOF)

    assert words.index("table public.equipment: 120,000 rows were dumped") < words.index("What was compared")


def test_phases_are_drawn_in_their_order_and_what_they_leave_of_the_whole_is_other():
    phases = view_proof(PROOF.to_dict()).phases

    assert [one.name for one in phases] == ["fetch", "restore", "compare", "probe", "other"]
    assert sum(one.seconds for one in phases) == pytest.approx(733)


def test_a_proof_without_phases_says_how_long_it_took_in_all():
    assert "12 min 13 s, from start to end" in words_of(replace(PROOF, durations={}))


def test_a_file_of_before_is_named_with_its_own_hash():
    legacy = LegacyProof(
        target="calibrify",
        repository_id="5f0c9a52-local",
        kind="dump",
        name="full_20261101.sql.gz",
        location="/var/backups",
        file_sha256="7b" * 32,
        size_bytes=3,
        modified_at=NOON,
        started_at=NOON,
        finished_at=NOON + MINUTE,
        matched=False,
        differences=("the file ends early",),
        durations={"restore": 3.0},
        checks={},
        isolation="own user",
        host="worker-2",
    )
    record = EvidenceRecord(
        target="calibrify",
        repository_id="5f0c9a52-local",
        number=1,
        kind=EvidenceKind.PROOF,
        subject=legacy.name,
        happened_at=legacy.finished_at,
        recorded_at=legacy.finished_at,
        previous_sha256=BEFORE_THE_FIRST,
        document=legacy.to_dict(),
    )

    words = Page(render_report(record)).words

    assert "Proof of a legacy backup (dump) · calibrify full_20261101.sql.gz" in words
    assert "7b" * 32 in words
    assert "Nothing: it could not be restored." in words
