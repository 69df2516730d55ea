from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.errors import ObjectConflictError
from backstop.model.canonical import canonical_json
from backstop.repository.check_records import CheckRecord, CheckRecords
from backstop.storage.memory import MemoryStorage

AT = datetime(2026, 11, 29, 4, tzinfo=timezone.utc)


def record(number=0, *, seed=0):
    at = AT + timedelta(days=number)
    return CheckRecord(at, at, number, 2**64 - 1 - number, seed, 10, 1000, 2, 1)


@pytest.fixture
def records():
    return CheckRecords(MemoryStorage(), "calibrify", "0123456789abcdef")


def test_the_newest_of_its_seed_is_found_as_it_was_put(records):
    for one in (record(3), record(1), record(2), record(9, seed=7)):
        records.put(one)

    assert records.newest(seed=0) == record(3)
    assert records.newest(seed=7) == record(9, seed=7)
    assert records.newest(seed=8) is None


def test_one_is_put_once(records):
    records.put(record(1))

    with pytest.raises(ObjectConflictError):
        records.put(CheckRecord(AT, AT + timedelta(days=1), 5, 6, 0, 1, 1, 0, 0))


INFINITE = canonical_json(record(1).to_dict()).replace(b'"seed":0', b'"seed":1e999')


@pytest.mark.parametrize("junk", [b"", b"[]", b"{}", b'{"start": 3}', b"\xff", b"[" * 99_999, INFINITE])
def test_a_damaged_one_is_passed_over(junk):
    storage = MemoryStorage()
    records = CheckRecords(storage, "calibrify", "0123456789abcdef")
    records.put(record(1))
    storage.put_once("calibrify/meta/checks/20991231T000000000000Z-0123456789abcdef.json", junk)

    assert records.newest(seed=0) == record(1)


def test_one_that_was_copied_from_another_repository_does_not_count():
    storage = MemoryStorage()
    CheckRecords(storage, "calibrify", "fedcba9876543210").put(record(5))

    assert CheckRecords(storage, "calibrify", "0123456789abcdef").newest(seed=0) is None
