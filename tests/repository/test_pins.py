"""A backup that is being read is marked, and the mark outlives nobody for long."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.errors import StorageError
from backstop.model.backup import BackupLabel
from backstop.repository.claims import Claim
from backstop.repository.pins import CLOCK_SKEW, PIN_TTL, pin, readers
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from backstop.storage.base import ObjectInfo

NOW = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
LABEL = BackupLabel("20261123T010000Z-dump")
OTHER = BackupLabel("20261122T010000Z-dump")


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def test_a_backup_is_pinned_while_it_is_read(storage):
    with pin(storage, "calibrify", LABEL, holder="verify", clock=lambda: NOW):
        [reader] = readers(storage, "calibrify", LABEL, now=NOW)
        assert reader.holder.startswith("verify on ")
        assert readers(storage, "calibrify", OTHER, now=NOW) == ()

    assert readers(storage, "calibrify", LABEL, now=NOW) == ()


def test_many_may_read_one_backup(storage):
    with (
        pin(storage, "calibrify", LABEL, holder="verify", clock=lambda: NOW),
        pin(storage, "calibrify", LABEL, holder="restore", clock=lambda: NOW),
    ):
        assert len(readers(storage, "calibrify", LABEL, now=NOW)) == 2


def test_the_mark_of_a_reader_that_died_runs_out(storage):
    reading = pin(storage, "calibrify", LABEL, holder="dead", clock=lambda: NOW)
    reading.__enter__()

    until = NOW + PIN_TTL + CLOCK_SKEW

    assert len(readers(storage, "calibrify", LABEL, now=until - timedelta(seconds=1))) == 1
    assert readers(storage, "calibrify", LABEL, now=until) == ()


@pytest.mark.parametrize("body", [b"?", b"[" * 99_999, b'{"pid": 1, "released": "no"}'])
def test_a_damaged_mark_counts_as_a_reader(storage, body):
    storage.put_once(f"calibrify/meta/pins/{LABEL}/0123456789abcdef-000000.json", body)

    [reader] = readers(storage, "calibrify", LABEL, now=NOW + timedelta(days=365))

    assert reader.until is None


def test_a_mark_for_all_of_time_and_of_nobody_that_can_be_printed_is_shown(storage):
    mark = Claim("0", "\ud800\x1b[2J", "h", 1, datetime(9999, 12, 31, 23, tzinfo=timezone.utc))
    body = json.dumps(json.loads(replace(mark, holder="?").to_json()) | {"holder": mark.holder}).encode()
    storage.put_once(f"calibrify/meta/pins/{LABEL}/0123456789abcdef-000000.json", body)

    [reader] = readers(storage, "calibrify", LABEL, now=NOW)

    assert reader.holder.startswith("\N{REPLACEMENT CHARACTER}" * 2 + "[2J on h")


def test_a_mark_is_removed_when_reading_fails(storage):
    with pytest.raises(RuntimeError), pin(storage, "calibrify", LABEL, holder="x", clock=lambda: NOW):
        raise RuntimeError

    assert readers(storage, "calibrify", LABEL, now=NOW) == ()


def test_a_repository_that_takes_no_mark_can_still_be_restored_from_and_it_is_said(caplog):
    class ReadOnly(MemoryStorage):
        def put_once(self, key: str, data: bytes) -> ObjectInfo:
            raise StorageError("/backups is mounted read-only")

    read = []
    with pin(ReadOnly(), "calibrify", LABEL, holder="restore", clock=lambda: NOW):
        read.append("everything")

    assert read
    assert "without a mark against expiry: /backups is mounted read-only" in caplog.text
