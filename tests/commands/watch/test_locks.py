"""A watch tells of proven backups that could be deleted although retention keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.commands.locking import renew_locks
from backstop.model.canonical import canonical_json
from backstop.model.finding import Level
from tests.locking import MONTH, rule
from tests.observing import only


@pytest.fixture
def locking(world):
    world.storages["s3"].lock_rule = rule(MONTH)
    return world


def unlock(world, label):
    """As if it had come before there was a rule."""
    locks = world.storages["s3"]._locks
    for key in [key for key in locks if key[0] == world.manifest_key(label)]:
        del locks[key]


def test_nothing_is_said_of_backups_that_are_locked_as_long_as_they_stay(locking):
    for day in range(5):
        locking.dump(day)

    assert locking.watch().findings == ()


def test_a_proven_backup_without_a_lock_is_a_warning_that_names_it_and_its_repository(locking):
    for day in range(4):
        locking.dump(day)
    newest = locking.dump(4)
    unlock(locking, newest)

    finding = only(locking.watch())

    assert (finding.check, finding.subject, finding.level) == ("lock", "dump in s3", Level.WARNING)
    assert newest.text in finding.sentence
    assert "expire --target calibrify --repository s3" in finding.next_step


@pytest.mark.parametrize("hours", [0.2, 40], ids=["short", "longer than the margin"])
def test_what_came_before_there_was_a_rule_is_told_of_until_an_expiry_has_locked_it_on(world, hours):
    label = world.dump(0, proven=False)
    key, storage = world.manifest_key(label), world.storages["s3"]
    manifest = world.target_repository("s3").catalog.backup(label).manifest
    late = replace(manifest, finished_at=manifest.started_at + timedelta(hours=hours), signature=None)
    storage.replace(key, canonical_json(world.signer.sign(late).to_dict()))
    world.now += timedelta(hours=hours)
    world.prove(label, "s3")
    storage.lock_rule = rule(MONTH)
    assert [one.check for one in world.watch().findings if one.check == "lock"] == ["lock"]

    renewed, failed = renew_locks(world.target_repository("s3"), [label], now=world.now)

    assert (renewed, failed) == ([label], {})
    assert [one for one in world.watch().findings if one.check == "lock"] == []
    assert renew_locks(world.target_repository("s3"), [label], now=world.now) == ([], {})


def test_a_lock_that_ends_before_retention_does_is_told_of(locking):
    locking.storages["s3"].lock_rule = rule(timedelta(days=3))
    first = locking.dump(0)
    locking.storages["s3"].lock_rule = rule(MONTH)
    locking.dump(1)

    assert first.text in only(locking.watch()).sentence


def test_one_that_nobody_has_proven_and_one_whose_time_is_over_are_not_missed(locking):
    locking.storages["s3"].lock_rule = rule(timedelta(hours=1))
    for day in range(2):
        locking.dump(day)
    unlock(locking, locking.dump(2, proven=False))

    locking.at(2, 4)

    assert [one for one in locking.watch().findings if one.check == "lock"] == []


def test_where_no_lock_is_asked_for_nobody_looks(world):
    world.dump(0)
    world.watch()

    assert world.storages["s3"].asked["lock"] == 0
