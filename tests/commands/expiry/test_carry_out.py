"""Expiry carried out: what goes whole, what stays, and what is left of others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.errors import StorageUnavailableError
from backstop.model.retention import RetentionPolicy
from backstop.repository.lock import Lease
from backstop.repository.pins import pin, readers
from backstop.storage.memory import MemoryStorage
from tests.commands.expiry.carrying import carry, expire
from tests.expiring import CLUSTER, TODAY, World


def test_what_goes_is_gone_whole_and_what_stays_is_whole(world):
    old, new = world.dump(30), world.dump(1)
    parent = world.base(40)
    child = world.base(39, parent=parent, start=1)
    base = world.base(1, start=5)
    world.wal(0, 9)

    report = expire(world)

    assert set(report.expired) == {old, child, parent}
    assert world.labels() == {new, base}
    world.require_no_garbage()
    assert report.freed_bytes == {"dump": 40, "incr": 40, "full": 40, "wal": 15}
    assert len(world.stored("calibrify/data/wal/")) == 5
    assert report.to_dict()["freed_bytes"] == 135


def test_expiring_twice_changes_nothing_more(world):
    world.dump(30)
    world.dump(1)
    expire(world)
    before = {key for key in world.stored() if "/lease/" not in key}

    assert expire(world).expired == []
    assert {key for key in world.stored() if "/lease/" not in key} == before


def test_shared_packs_stay_until_the_last_backup_that_lists_them_goes(world):
    first = world.tree(40, new=3)
    packs = world.packs(first)
    second = world.tree(30, new=1, earlier=packs[:2])
    third = world.tree(20, new=1, earlier=packs[:1])

    expire(world)

    assert world.labels() == {third}
    assert packs[0].key in world.stored()
    assert not {packs[1].key, packs[2].key} & world.stored()
    world.require_no_garbage()

    world.tree(1)
    expire(world)
    assert not {first, second, third} & world.labels()
    world.require_no_garbage()


def test_the_remains_of_another_attempt_at_the_same_label_go_too(world):
    old, _ = world.dump(30), world.dump(1)
    world.storage.upload(f"calibrify/data/database/{old}/fedcba9876543210/t/1", b"left by a worker that died")

    expire(world)

    world.require_no_garbage()


def test_nothing_of_an_unpublished_attempt_is_touched(world):
    world.dump(30)
    world.dump(1)
    running = "calibrify/data/database/20261123T115900Z-dump/fedcba9876543210/t/1"
    world.storage.upload(running, b"being written now")

    expire(world)

    assert running in world.stored()


def test_odd_but_allowed_names_make_no_difference(signing):
    world = World(signing, target="Kälte & 'Co' \"x\" 100%")
    old, new = world.tree(30, new=3), world.tree(1)

    assert expire(world).expired == [old]
    assert world.labels() == {new}
    world.require_no_garbage()


def test_five_thousand_objects_go_like_two(world):
    old, _ = world.dump(30, objects=5000), world.dump(1)

    assert expire(world).expired == [old]
    world.require_no_garbage()


def test_old_renewals_of_leases_go_and_the_newest_stays(signing):
    times = [TODAY - timedelta(days=5)]
    world = World(signing, MemoryStorage(clock=lambda: times[0]))
    world.dump(6)
    for _ in range(3):
        lease = Lease.acquire(world.storage, world.target, "dump", holder="x", clock=lambda: times[0])
        lease.renew()
        lease.release()
    times[0] = TODAY

    expire(world)

    assert world.stored("calibrify/meta/lease/dump/") == {
        "calibrify/meta/lease/dump/000000000003-000000.json",
        "calibrify/meta/lease/dump/000000000003-000002.json",
    }
    again = Lease.acquire(world.storage, world.target, "dump", holder="x", clock=world.clock)
    assert again.epoch == 4
    again.release()


def test_run_out_pins_go_and_those_in_force_and_damaged_ones_stay(signing):
    times = [TODAY - timedelta(days=5)]
    world = World(signing, MemoryStorage(clock=lambda: times[0]))
    label = world.dump(6)
    world.dump(1)
    world.policy = RetentionPolicy(keep_last=2, min_proven=1)
    with pin(world.storage, world.target, label, holder="old", clock=lambda: times[0]):
        pass
    died = pin(world.storage, world.target, label, holder="died", clock=lambda: times[0])
    died.__enter__()
    damaged = f"calibrify/meta/pins/{label}/0123456789abcdef-000000.json"
    world.storage.put_once(damaged, b"?")
    times[0] = TODAY
    with pin(world.storage, world.target, label, holder="now", clock=world.clock):
        assert len(world.stored("calibrify/meta/pins/")) == 5

        expire(world)

        assert len(readers(world.storage, world.target, label, now=TODAY)) == 2
        assert len(world.stored("calibrify/meta/pins/")) == 2


def test_a_repository_that_fails_in_the_middle_is_finished_later(interrupting):
    world = interrupting
    old, new = world.dump(30), world.dump(1)

    def fail() -> None:
        raise StorageUnavailableError("the disk went away")

    world.storage.at = f"calibrify/data/database/{old}/"
    world.storage.then = fail

    with pytest.raises(StorageUnavailableError, match="the disk went away"):
        carry(world)
    world.require_whole()

    assert expire(world).finished == [old]
    assert world.labels() == {new}
    world.require_no_garbage()


def test_wal_of_a_cluster_of_which_nothing_is_left_goes_with_its_histories(signing):
    times = [TODAY - timedelta(days=40)]
    world = World(signing, MemoryStorage(clock=lambda: times[0]))
    first = "7000000000000000009"
    world.base(40, system_id=first)
    world.wal(0, 3, system_id=first)
    world.storage.put_once(f"calibrify/data/wal/{first}/00000001.history-{'a' * 16}", b"history")
    times[0] = TODAY
    world.base(2, start=4)
    world.base(1, start=5)
    world.wal(4, 6, system_id=CLUSTER)

    expire(world)

    assert world.stored(f"calibrify/data/wal/{first}/") == set()
    assert len(world.stored("calibrify/data/wal/")) == 2


def test_an_untrusted_mark_deletes_nothing(world):
    new = world.dump(1)
    gone = world.dump(30)
    manifest = world.catalog.backup(gone).manifest
    forged = {"format": 1, "label": gone.text, "manifest": {**manifest.to_dict(), "attempt": "forged"}}
    from backstop.model.canonical import canonical_json

    world.storage.delete(f"calibrify/meta/manifests/{gone}.json")
    world.storage.put_once(f"calibrify/meta/expiring/{gone}.json", canonical_json(forged))
    before = world.stored("calibrify/data/")

    report = carry(world)

    assert "cannot be told" in report.waiting[0]
    assert world.stored("calibrify/data/") == before
    assert world.labels() == {new}


def test_wal_goes_in_rounds_of_bounded_size_and_what_is_locked_is_passed_over(signing, monkeypatch):
    monkeypatch.setattr("backstop.commands.expiry.wal_removal.ROUND", 10)
    world = World(signing, MemoryStorage(clock=lambda: TODAY, versioned=True))
    world.base(30, start=0)
    world.base(1, start=45)
    keys = world.wal(0, 49)
    for key in keys[3:6]:
        world.storage.lock_object(key, until=TODAY + timedelta(days=1))

    report = expire(world)

    assert report.wal.objects == 42
    assert {one.key for one in report.locked["WAL"]} == set(keys[3:6])
    assert world.stored("calibrify/data/wal/") == {*keys[3:6], *keys[45:]}


def test_a_base_backup_that_does_not_say_where_its_wal_begins_keeps_all_of_it(world):
    world.base(30, start=0)
    world.base(1, start=5, start_lsn="somewhere")
    world.wal(0, 9)

    assert expire(world).wal.objects == 0
