"""A claim of any content is respected, run out, or refused by name."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.errors import IntegrityError, LeaseHeldError
from backstop.model.canonical import canonical_json
from backstop.repository.claims import Claim
from backstop.repository.lock import Lease
from backstop.storage.memory import MemoryStorage

NOW = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
CLAIM = {"holder": "thief", "host": "x", "id": "0" * 16, "pid": 1, "released": False}
LAST = "9999-12-31T23:59:59.999999Z"


def test_a_claim_until_the_end_of_time_is_in_force():
    claim = Claim.from_json(canonical_json({**CLAIM, "expires_at": LAST}), "somewhere")

    assert claim.in_force(NOW, skew=timedelta(minutes=5))


def test_a_lease_until_the_end_of_time_is_refused_as_held():
    storage = MemoryStorage()
    key = "calibrify/meta/lease/dump/000000000007-000000.json"
    storage.put_once(key, canonical_json({**CLAIM, "expires_at": LAST}))

    with pytest.raises(LeaseHeldError, match="thief"):
        Lease.acquire(storage, "calibrify", "dump", holder="us", clock=lambda: NOW)


def test_a_claim_nested_beyond_reading_is_damaged():
    with pytest.raises(IntegrityError, match="RecursionError"):
        Claim.from_json(b"[" * 100_000, "somewhere")
