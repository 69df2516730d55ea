"""Expiry carried out beside others at work, on storages with locks and versions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.errors import LeaseHeldError
from backstop.repository.lock import Lease
from backstop.storage.memory import MemoryStorage
from tests.commands.expiry.carrying import LockingMarks, carry, expire, plan
from tests.expiring import TODAY, World


def test_a_second_expiry_is_kept_out(interrupting):
    world = interrupting
    world.dump(30)
    world.dump(1)
    refused = []

    def second() -> None:
        with pytest.raises(LeaseHeldError) as error:
            carry(world)
        refused.append(error.value.message)

    world.storage.at = "calibrify/data/"
    world.storage.then = second

    carry(world)

    assert "are being expired, or healed, by expire in tests" in refused[0]
    world.require_no_garbage()


@pytest.mark.parametrize("kind", ["dump", "base", "tree-media"])
def test_a_kind_that_is_being_backed_up_waits_and_the_others_do_not(world, kind):
    world.dump(30)
    world.dump(1)
    world.base(30)
    world.base(1, start=4)
    world.wal(0, 6)
    world.tree(30)
    world.tree(1)
    everything = {"dump": 40, "full": 40, "wal": 12, "tree": 60}

    with Lease.acquire(world.storage, world.target, kind, holder="a backup", clock=world.clock):
        report = expire(world)

    waiting = {"dump": ["dump"], "base": ["full", "wal"], "tree-media": ["tree"]}[kind]
    assert report.freed_bytes == {name: size for name, size in everything.items() if name not in waiting}
    assert "being written by a backup" in report.waiting[0]
    assert expire(world).freed_bytes == {name: everything[name] for name in waiting}


def test_no_backup_can_begin_while_what_it_may_build_on_goes(interrupting):
    world = interrupting
    world.tree(30)
    world.tree(1)
    held = []

    def begin() -> None:
        with pytest.raises(LeaseHeldError):
            Lease.acquire(world.storage, world.target, "tree-media", holder="a backup", clock=world.clock)
        held.append(True)

    world.storage.at = "calibrify/data/trees/"
    world.storage.then = begin
    carry(world)

    assert held
    Lease.acquire(world.storage, world.target, "tree-media", holder="b", clock=world.clock).release()


def test_a_tree_backup_published_after_the_plan_keeps_the_packs_it_lists(world):
    old = world.tree(30, new=2)
    world.tree(2)
    made = plan(world)
    # It was the newest that every repository has: another one lacks the later backup.
    shared = world.packs(old)[0]
    world.tree(1, earlier=[shared])

    report = carry(world, made)

    assert report.expired == [old]
    assert shared.key in world.stored()
    world.require_whole()


def test_an_expiry_that_lost_its_lease_removes_nothing_more(interrupting):
    world = interrupting
    older, old = world.dump(40), world.dump(30)
    world.dump(1)

    def sleep() -> None:
        world.now += timedelta(minutes=10)

    world.storage.at = "calibrify/meta/proofs/"
    world.storage.then = sleep

    with pytest.raises(Exception, match="is lost: it ran out"):
        carry(world)

    assert older not in world.labels()
    assert old in world.labels()
    world.require_whole()


# -- Locks and versions --------------------------------------------------------------------------------------


def test_locked_objects_stay_until_a_later_run_and_their_date_is_shown(signing):
    times = [TODAY]
    world = World(signing, MemoryStorage(clock=lambda: times[0], versioned=True))
    old, _ = world.dump(30, objects=3), world.dump(1)
    key = world.catalog.backup(old).manifest.objects[1].key
    until = TODAY + timedelta(days=2)
    world.storage.lock_object(key, until=until)

    report = expire(world)

    assert report.expired == []
    [left] = report.locked[old.text]
    assert (left.key, left.lock.until) == (key, until)
    assert report.to_dict()["locked"] == [
        {"what": old.text, "objects": 1, "until": "until 2026-11-25 12:00Z"}
    ]
    assert old not in world.labels()
    assert world.stored(f"calibrify/data/database/{old}/") == {key}
    assert plan(world).begun == (old,)
    assert expire(world).freed_bytes == {}

    times[0] = world.now = TODAY + timedelta(days=3)
    assert expire(world).finished == [old]
    world.require_no_garbage()


def test_a_locked_mark_is_no_failure_and_goes_later(signing):
    """A bucket whose default is to lock whatever is put locks our own small objects too."""
    times = [TODAY]
    world = World(signing, LockingMarks(clock=lambda: times[0], versioned=True))
    old, _ = world.dump(30), world.dump(1)

    report = expire(world)

    assert [one.key for one in report.locked[old.text]] == [f"calibrify/meta/expiring/{old}.json"]
    assert world.stored(f"calibrify/data/database/{old}/") == set()
    assert expire(world).freed_bytes == {}

    times[0] = world.now = TODAY + timedelta(days=8)
    assert expire(world).finished == [old]
    world.require_no_garbage()


def test_on_a_versioned_storage_nothing_is_left_of_what_goes(signing):
    world = World(signing, MemoryStorage(clock=lambda: TODAY, versioned=True))
    old, _ = world.dump(30), world.dump(1)
    world.base(30)
    world.base(1, start=4)
    world.wal(0, 6)
    key = world.catalog.backup(old).manifest.objects[0].key
    body = world.storage.read(key)
    world.storage.delete(key)  # hidden by hand, and put again: two versions and a mark
    world.storage.upload(key, body)
    world.storage.delete(world.wal(1, 1)[0])

    report = expire(world)

    world.require_no_garbage()
    assert report.freed_bytes["dump"] == 60
    assert len(world.stored("calibrify/data/wal/")) == 3
    assert not any(one.is_marker for one in world.storage.versions("calibrify/data/"))


def test_a_manifest_locked_at_the_last_moment_keeps_its_backup_unhidden(signing):
    world = World(signing, MemoryStorage(clock=lambda: TODAY, versioned=True))
    old, _ = world.dump(30), world.dump(1)
    made = plan(world)
    real = world.storage.put_once

    def put_once(key, data):
        if "/expiring/" in key:
            world.storage.lock_object(f"calibrify/meta/manifests/{old}.json", until=None)
        return real(key, data)

    world.storage.put_once = put_once

    report = carry(world, made)

    assert "locked" in report.kept[old]
    assert old in world.labels()
    world.require_whole()
