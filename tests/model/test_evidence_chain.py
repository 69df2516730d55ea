"""What is wrong with a chain is found whatever is done to it; pure."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import IntegrityError
from backstop.model.backup import Signature
from backstop.model.canonical import canonical_json
from backstop.model.evidence import BEFORE_THE_FIRST, ChainHead, EvidenceKind, EvidenceRecord
from backstop.model.evidence_chain import FaultKind, KnownHead, StoredRecord, judge_chain, number_in

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def chain(length: int) -> list[StoredRecord]:
    """Sound, a record a minute."""
    entries: list[StoredRecord] = []
    previous = BEFORE_THE_FIRST
    for number in range(1, length + 1):
        at = NOW + number * MINUTE
        record = EvidenceRecord(
            target="calibrify",
            repository_id="r1",
            number=number,
            kind=EvidenceKind.DRILL,
            subject=f"drill-{number}",
            happened_at=at,
            recorded_at=at,
            previous_sha256=previous,
            document={"passed": True},
            report_sha256="a" * 64,
            signature=Signature("0123456789abcdef", "00" * 64),
        )
        previous = record.sha256
        entries.append(StoredRecord(record.name, record.sha256, at, record))
    return entries


def judge(entries: list[StoredRecord], **more: object) -> list[tuple[str, int | None]]:
    faults = judge_chain(entries, target="calibrify", repository_id="r1", **more)  # type: ignore[arg-type]
    return [(fault.kind.value, fault.number) for fault in faults]


def heads(entries: list[StoredRecord]) -> tuple[KnownHead, ...]:
    newest = entries[-1]
    assert newest.number is not None
    return (KnownHead(ChainHead(newest.number, newest.sha256), "the inventory"),)


@given(st.integers(0, 12))
def test_a_sound_chain_of_any_length_has_no_faults(length: int) -> None:
    entries = chain(length)
    pages = {one.record.report_name: "a" * 64 for one in entries if one.record}

    assert judge(entries, known=heads(entries) if entries else (), reports=pages) == []


@given(st.integers(1, 9), st.sets(st.integers(1, 9), min_size=1))
def test_whatever_is_taken_away_is_missed_and_nothing_else(length: int, gone: set[int]) -> None:
    entries = chain(length)
    left = [one for one in entries if one.number not in gone]
    lost = sorted(number for number in gone if number <= length)

    assert judge(left, known=heads(entries)) == [("missing", number) for number in lost]


@given(st.permutations(range(1, 6)))
def test_every_record_that_lies_elsewhere_is_named(order: list[int]) -> None:
    entries = chain(5)
    moved = [replace(entries[number - 1], name=f"{place:08d}.json") for place, number in enumerate(order, 1)]

    assert judge(moved) == [("misplaced", place) for place, number in enumerate(order, 1) if place != number]


@given(st.integers(1, 6), st.integers(1, 6))
def test_whoever_signs_a_record_anew_breaks_the_next_one_or_is_known_by_a_head(
    length: int, number: int
) -> None:
    entries = chain(max(length, number))
    old = entries[number - 1].record
    assert old is not None
    forged = replace(old, document={"passed": False})
    changed = [
        replace(one, record=forged, sha256=forged.sha256) if one.number == number else one for one in entries
    ]

    found = judge(changed, known=heads(entries))

    last = number == len(entries)
    assert found == [("changed", number) if last else ("inserted", number + 1)]


def test_a_record_that_is_not_believed_is_named_once_and_by_why() -> None:
    entries = chain(3)
    doubtful = replace(entries[1], doubt="was changed")
    stranger = replace(entries[1], doubt="is not signed", stranger=True)
    unreadable = StoredRecord(entries[1].name, "b" * 64, NOW, None, doubt="not JSON")

    assert judge([entries[0], doubtful, entries[2]]) == [("changed", 2)]
    assert judge([entries[0], stranger, entries[2]]) == [("untrusted", 2)]
    assert judge([entries[0], unreadable, entries[2]]) == [("unreadable", 2)]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"recorded_at": NOW - MINUTE * 60, "happened_at": NOW - MINUTE * 60}, [("back-dated", 3)] * 2),
        ({"recorded_at": NOW + MINUTE}, [("back-dated", 3)]),
        ({"recorded_at": NOW + MINUTE * 60}, [("post-dated", 3)]),
        ({"happened_at": NOW + MINUTE * 60}, [("post-dated", 3)]),
        ({"target": "billing"}, [("foreign", 3)]),
        ({"repository_id": "r2"}, [("foreign", 3)]),
    ],
)
def test_dates_and_origin_are_held_against_what_is_around(
    change: dict[str, object], fault: list[tuple[str, int]]
) -> None:
    entries = chain(3)
    old = entries[2].record
    assert old is not None
    record = replace(old, **change)  # type: ignore[arg-type]

    assert judge([*entries[:2], replace(entries[2], record=record, sha256=record.sha256)]) == fault


def test_a_first_record_that_names_one_before_it_betrays_that_the_beginning_is_gone() -> None:
    second = chain(2)[1].record
    assert second is not None
    renumbered = replace(second, number=1)
    entry = StoredRecord(renumbered.name, renumbered.sha256, renumbered.recorded_at, renumbered)

    assert judge([entry]) == [("missing", 1)]


def test_strays_copies_pages_and_versions_are_named() -> None:
    entries = chain(2)
    copy = replace(entries[0], name="00000001 (copy).json")
    other = StoredRecord("notes.json", "c" * 64, NOW, None, doubt="not JSON")
    first, second = (one.record for one in entries)
    assert first is not None
    assert second is not None
    twice = replace(entries[0], name="00000003.json")

    assert judge([*entries, copy]) == [("duplicated", 1)]
    assert judge([*entries, other]) == [("inserted", None)]
    assert judge([*entries, twice]) == [("duplicated", 3)]
    assert judge(entries, reports={first.report_name: "b" * 64}) == [("report", 1), ("report", 2)]
    assert judge(entries, overwritten={"00000002.json": 2, first.report_name: 3}) == [
        ("overwritten", 1),
        ("overwritten", 2),
    ]


def test_names_and_documents_that_are_none_are_refused() -> None:
    assert number_in("00000000.json") is None
    assert number_in("1.json") is None
    assert FaultKind("report") is FaultKind.REPORT
    record = chain(1)[0].record
    assert record is not None
    document = json.loads(canonical_json(record.to_dict()))
    assert EvidenceRecord.from_dict(document) == record
    for name, value in (
        ("number", 0), ("number", True), ("number", "1"), ("kind", "party"), ("format", 2), ("document", 7),
        ("report_sha256", "../../x"), ("heads", {"r2": {"number": 1, "sha256": "x"}}), ("heads", [1]),
        ("recorded_at", "yesterday"), ("signature", {"key": "k"}), ("signature", {"key": "k", "ed25519": 1}),
        ("signature", "x"),
    ):  # fmt: skip
        with pytest.raises(IntegrityError):
            EvidenceRecord.from_dict({**document, name: value})
    headed = replace(record, heads={"r2": ChainHead(3, "d" * 64)})
    assert EvidenceRecord.from_dict(json.loads(canonical_json(headed.to_dict()))) == headed
    assert record.label == "1 (drill drill-1)"
    assert record.head == ChainHead(1, record.sha256)
    assert record.with_signature(Signature("k", "00")).signature == Signature("k", "00")
    unsigned = EvidenceRecord.from_dict({**document, "signature": None})
    assert unsigned.signature is None
    assert replace(unsigned, report_sha256="").report_name == ""
