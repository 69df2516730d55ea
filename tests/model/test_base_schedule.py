from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.base_schedule import kind_due
from tests.model.test_backup import MANIFEST

SUNDAY = datetime(2026, 11, 22, 3, tzinfo=timezone.utc)


def taken(at: datetime, kind: BackupKind):
    return replace(
        MANIFEST,
        label=BackupLabel.at(at, kind),
        started_at=at,
        finished_at=at + timedelta(minutes=5),
    )


def due(*manifests, full_due_at: datetime | None = SUNDAY, incremental: bool = True) -> BackupKind:
    return kind_due(manifests, full_due_at=full_due_at, incremental=incremental)[0]


def test_the_first_one_is_full():
    assert due() is BackupKind.FULL


def test_a_dump_is_nothing_to_build_on():
    assert due(taken(SUNDAY, BackupKind.DUMP)) is BackupKind.FULL


def test_incremental_ones_follow_a_full_one_taken_when_it_was_due():
    assert due(taken(SUNDAY, BackupKind.FULL)) is BackupKind.INCREMENTAL


def test_a_missed_full_one_is_made_up_for_whatever_was_taken_since():
    last_week = taken(SUNDAY - timedelta(days=7), BackupKind.FULL)
    since = taken(SUNDAY + timedelta(days=1), BackupKind.INCREMENTAL)

    assert due(last_week, since) is BackupKind.FULL


def test_without_a_schedule_for_full_ones_one_that_was_taken_by_hand_is_built_on():
    assert (
        due(taken(SUNDAY - timedelta(days=70), BackupKind.FULL), full_due_at=None) is BackupKind.INCREMENTAL
    )


def test_without_a_schedule_for_incremental_ones_all_are_full():
    assert due(taken(SUNDAY, BackupKind.FULL), incremental=False) is BackupKind.FULL
