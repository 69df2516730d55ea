"""Until when an object is locked is read from its key alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.model.backup import BackupLabel
from backstop.model.object_lock import AHEAD, ROLLING, least_kept, whole_second
from backstop.model.retention import RetentionPolicy
from tests.locking import DAY, MONTH, rule

NOW = datetime(2026, 11, 23, 2, tzinfo=timezone.utc)
BEGAN = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
LABEL = "20261123T010000Z-dump"
TREE = "20261123T010000Z-tree-media"


@pytest.mark.parametrize(
    "key",
    [
        f"calibrify/meta/manifests/{LABEL}.json",
        f"calibrify/meta/proofs/{LABEL}/20261124T010000Z-0123456789abcdef.json",
        f"calibrify/meta/holds/{LABEL}/1.json",
        f"calibrify/meta/reencrypted/{LABEL}/1.json",
        f"calibrify/data/database/{LABEL}/0123456789abcdef/t/1",
        f"calibrify/data/trees/media/{TREE}/0123456789abcdef/packs/7",
    ],
)
def test_all_of_a_backup_is_locked_until_the_same_moment_whenever_it_is_stored(key):
    for later in (timedelta(0), DAY, 20 * DAY):
        assert rule().until(key, now=NOW + later) == BEGAN + MONTH + DAY


@pytest.mark.parametrize(
    "key",
    [
        "calibrify/data/wal/7000000000000000001/00000001/000000010000000000000001-0123456789abcdef",
        "calibrify/data/wal/7000000000000000001/00000002.history-0123456789abcdef",
        "calibrify/meta/evidence/00000001.json",
        "calibrify/meta/incidents/20261123T010000Z/1.json",
    ],
)
def test_wal_and_evidence_are_locked_from_when_they_are_stored(key):
    assert rule().until(key, now=NOW) == NOW + MONTH + DAY


@pytest.mark.parametrize(
    "key",
    [
        "repository.json",
        "calibrify/meta/lease/dump/00000001-00000000.json",
        f"calibrify/meta/pins/{LABEL}/a-1.json",
        f"calibrify/meta/expiring/{LABEL}.json",
        "calibrify/meta/checks/20261123T010000Z-0123456789abcdef.json",
        "calibrify/tail/7000000000000000001/00000001/000000010000000000000001/00000000-00000100-0123456789abcdef",
        "calibrify/data/probe",
        "calibrify/data/database/not a label/x",
    ],
)
def test_what_goes_soon_is_not_locked(key):
    assert rule().until(key, now=NOW) is None


def test_a_label_in_the_future_is_not_locked_longer_than_one_of_today():
    key = "calibrify/data/database/20991231T235959Z-dump/0123456789abcdef/t/1"

    assert rule().until(key, now=NOW) == NOW + MONTH + DAY


def test_what_comes_after_its_time_is_not_locked_into_the_past():
    assert rule().until(f"calibrify/meta/manifests/{LABEL}.json", now=BEGAN + MONTH + DAY) is None


def test_what_is_kept_for_ever_is_locked_for_a_month_at_a_time():
    key = f"calibrify/meta/manifests/{LABEL}.json"

    assert rule(None).until(key, now=NOW) == NOW + ROLLING


@pytest.mark.parametrize(
    ("policy", "least"),
    [
        (RetentionPolicy(), None),
        (RetentionPolicy(keep_for=MONTH), MONTH),
        (RetentionPolicy(keep_last=5), timedelta(0)),
        (RetentionPolicy(daily=7, weekly=4, monthly=12), 7 * DAY),
        (RetentionPolicy(monthly=12), 12 * 31 * DAY),
        (RetentionPolicy(keep_for=10 * DAY, daily=7), 10 * DAY),
    ],
)
def test_a_lock_lasts_as_long_as_every_backup_stays_under_the_rules(policy, least):
    assert least_kept(policy) == least


def test_what_stays_beyond_its_time_is_locked_on_when_its_lock_is_about_to_end():
    label = BackupLabel(LABEL)
    later = NOW + 31 * DAY

    assert rule().renewed("calibrify", label, locked_until=later + 2 * DAY, now=later) is None
    assert rule().renewed("calibrify", label, locked_until=later + DAY / 2, now=later) == later + AHEAD
    assert rule().renewed("calibrify", label, locked_until=None, now=later) == later + AHEAD
    assert rule(None).renewed("calibrify", label, locked_until=NOW + ROLLING / 3, now=NOW) == NOW + ROLLING


def test_a_backup_from_before_there_was_a_rule_is_locked_like_a_new_one():
    label = BackupLabel(LABEL)
    new = rule().until(f"calibrify/meta/manifests/{LABEL}.json", now=NOW)

    assert rule().renewed("calibrify", label, locked_until=None, now=NOW) == new
    assert rule().renewed("calibrify", label, locked_until=NOW + 20 * DAY, now=NOW) == new, (
        "of a shorter rule"
    )
    assert rule().renewed("calibrify", label, locked_until=new, now=NOW) is None


def test_a_backup_that_says_it_ends_when_time_does_needs_no_longer_a_lock_than_one_of_now():
    ends = datetime.max.replace(tzinfo=timezone.utc)

    assert rule().promised("calibrify", BackupLabel(LABEL), ends, now=NOW) == NOW + MONTH
    assert rule().promised("calibrify", BackupLabel(LABEL), BEGAN, now=BEGAN + MONTH) is None
    assert rule(None).promised("calibrify", BackupLabel(LABEL), BEGAN, now=NOW) is None
    assert (
        rule(1_000 * 366 * DAY).promised("calibrify", BackupLabel(LABEL), BEGAN, now=NOW)
        < NOW + 100 * 366 * DAY
    )


def test_a_backup_that_took_longer_than_the_margin_is_locked_so_much_longer():
    assert rule().overrun(BEGAN, BEGAN + timedelta(hours=20)) == timedelta(0)
    assert rule().overrun(BEGAN, BEGAN + timedelta(hours=30)) == timedelta(hours=6)
    assert rule().overrun(BEGAN, BEGAN + 10_000 * DAY) == MONTH, "a forged end does not lock for years"


def test_a_hold_locks_as_long_as_it_lasts_and_one_without_end_a_month_at_a_time():
    assert rule().held(NOW + 90 * DAY, now=NOW) == NOW + 91 * DAY
    assert rule().held(None, now=NOW) == NOW + ROLLING


def test_a_hold_until_the_end_of_time_locks_no_longer_than_a_storage_takes():
    assert rule().held(datetime.max.replace(tzinfo=timezone.utc), now=NOW) < NOW + 36_500 * DAY


def test_a_moment_within_a_second_is_the_end_of_it():
    assert whole_second(NOW.replace(microsecond=1)) == NOW + timedelta(seconds=1)
    assert whole_second(NOW) == NOW
