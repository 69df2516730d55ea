"""Expiry carried out: what goes, what stays, in which order, and who may not be disturbed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.errors import ConfigurationError, LeaseHeldError, NotFoundError, StorageUnavailableError
from backstop.model.retention import RetentionPolicy
from backstop.repository.holds import Holds
from backstop.repository.lock import Lease
from backstop.repository.pins import pin, readers
from backstop.storage.memory import MemoryStorage
from tests.expiring import CLUSTER, TODAY, World


def plan(world):
    return plan_expiry(world.repository, settings=world.settings, now=world.now)


def carry(world, made=None, **more):
    return carry_out(made or plan(world), world.repository, inventory=None, clock=world.clock, **more)


def expire(world):
    report = carry(world)
    world.require_whole()
    return report


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


# -- Held, read, changed between the plan and the act --------------------------------------------------------


def test_a_hold_placed_after_the_plan_keeps_the_backup(world):
    old, _ = world.dump(30), world.dump(1)
    made = plan(world)
    Holds(world.repository).place(old, reason="audit", who="ada", until=None, now=world.now)

    report = carry(world, made)

    assert "audit" in report.kept[old]
    assert old in world.labels()
    world.require_whole()
    world.require_no_garbage()


def test_a_backup_that_the_plan_does_not_name_stays_though_its_time_has_come(world):
    world.dump(30)
    world.dump(2)
    made = plan(world)
    world.dump(1)

    report = carry(world, made)

    assert [label.text[:8] for label in report.expired] == ["20261024"]


def test_only_what_was_approved_goes(world):
    old, older = world.dump(30), world.dump(40)
    world.dump(1)

    report = carry(world, plan(world).only([older]))

    assert report.expired == [older]
    assert old in world.labels()


def test_no_more_wal_goes_than_was_shown_and_the_rest_waits(world):
    world.base(30, start=0)
    world.base(1, start=6)
    oldest, *_ = world.wal(0, 9)
    made = plan(world)
    assert made.wal.objects > 1

    report = carry(world, made.only(made.labels, most_wal=1))

    assert report.wal.objects == 1
    assert oldest not in world.stored()
    assert any("more WAL has come of age" in sentence for sentence in report.waiting)
    world.require_whole()
    assert expire(world).wal.objects == made.wal.objects - 1


def test_wal_of_a_base_backup_that_nobody_approved_stays_whole(world):
    world.base(40, start=0)
    world.base(30, start=4)
    world.base(1, start=8)
    world.wal(0, 9)
    made = plan(world)
    first, second = made.labels

    report = carry(world, made.only([first], most_wal=made.wal.objects))

    assert report.expired == [first]
    assert second in world.labels()
    assert len(world.stored("calibrify/data/wal/")) == 6
    world.require_whole()


def test_a_newest_proof_that_turns_bad_after_the_plan_stops_everything(world):
    old, new = world.dump(30), world.dump(1)
    made = plan(world)
    world.prove(world.catalog.backup(new), matched=False, minutes=60)

    report = carry(world, made)

    assert report.expired == []
    assert world.labels() == {old, new}
    assert old in report.kept


def test_a_drop_that_shows_after_the_plan_stops_everything(world):
    old, _ = world.dump(30, rows=1000), world.dump(2, rows=1000)
    made = plan(world)
    assert made.labels == (old,)
    world.dump(1, rows=3)

    report = carry(world, made)

    assert report.expired == []
    assert old in world.labels()
    assert "somebody must look" in report.kept[old]


def test_a_newest_proof_that_turns_bad_at_the_last_moment_stops_everything(interrupting):
    world = interrupting
    old, new = world.dump(30), world.dump(1)
    world.storage.at_put = f"calibrify/meta/expiring/{old}"
    world.storage.then = lambda: world.prove(world.catalog.backup(new), matched=False, minutes=60)

    report = carry(world)

    assert report.kept[old] == f"{new} is proven no longer"
    assert world.labels() == {old, new}


def test_a_replaced_manifest_is_not_what_was_planned(world):
    old, _ = world.dump(30), world.dump(1)
    made = plan(world)
    world.storage.delete(f"calibrify/meta/manifests/{old}.json")
    for key in world.stored(f"calibrify/data/database/{old}/") | world.stored(
        f"calibrify/meta/proofs/{old}/"
    ):
        world.storage.delete(key)
    world.dump(30, objects=3)

    report = carry(world, made)

    assert "not the one that the plan" in report.kept[old]
    world.require_whole()


def test_a_plan_of_another_repository_is_refused(world, signing):
    other = World(signing, name="other")

    with pytest.raises(ConfigurationError, match="not of calibrify in other"):
        carry_out(plan(world), other.repository, inventory=None, clock=world.clock)


class Interrupting(MemoryStorage):
    """Calls ``then`` once, right before the first removal of a key with this beginning.

    :ivar at_put: the same, right after such a key was put.
    """

    def __init__(self) -> None:
        super().__init__(clock=lambda: TODAY)
        self.at = "nothing"
        self.at_put = "nothing"
        self.then = lambda: None

    def put_once(self, key, data):
        info = super().put_once(key, data)
        if key.startswith(self.at_put):
            self.at_put = "nothing"
            self.then()
        return info

    def delete_many(self, versions):
        doomed = list(versions)
        if any(key.startswith(self.at) for key, _ in doomed):
            self.at = "nothing"
            self.then()
        return super().delete_many(doomed)


class LockingMarks(MemoryStorage):
    """Locks every mark of an expiry for a week."""

    def put_once(self, key, data):
        info = super().put_once(key, data)
        if "/meta/expiring/" in key:
            self.lock_object(key, until=TODAY + timedelta(days=7))
        return info


@pytest.fixture
def interrupting(signing):
    return World(signing, Interrupting())


def test_a_reader_that_comes_between_the_last_look_and_the_removal_gets_its_backup(interrupting):
    world = interrupting
    old, _ = world.dump(30), world.dump(1)
    reading = pin(world.storage, world.target, old, holder="restore", clock=world.clock)
    world.storage.at = "calibrify/meta/manifests/"
    world.storage.then = reading.__enter__

    report = carry(world)

    assert "restore" in report.kept[old]
    assert old in world.labels()
    world.require_whole()
    assert world.stored("calibrify/meta/expiring/") == set()

    reading.__exit__(None, None, None)
    assert expire(world).expired == [old]


def test_a_backup_whose_reader_was_there_first_is_not_unpublished_for_a_moment(interrupting):
    world = interrupting
    old, _ = world.dump(30), world.dump(1)
    reading = pin(world.storage, world.target, old, holder="restore", clock=world.clock)

    def read() -> None:
        reading.__enter__()
        world.storage.at = "calibrify/meta/manifests/"
        world.storage.then = lambda: pytest.fail("its manifest was removed")

    world.storage.at_put = f"calibrify/meta/expiring/{old}"
    world.storage.then = read

    assert "restore" in carry(world).kept[old]
    assert old in world.labels()


def test_what_a_backup_builds_on_stays_when_that_is_kept_at_the_last_moment(interrupting):
    world = interrupting
    full = world.base(40, start=0)
    middle = world.base(39, parent=full, start=1)
    child = world.base(38, parent=middle, start=2)
    world.base(1, start=5)
    reading = pin(world.storage, world.target, middle, holder="recover", clock=world.clock)
    world.storage.at_put = f"calibrify/meta/expiring/{middle}"
    world.storage.then = reading.__enter__

    report = expire(world)

    assert report.expired == [child]
    assert {full, middle} <= world.labels()
    assert "restored from it" in report.kept[full]


def test_approving_a_base_backup_alone_does_not_remove_what_others_build_on(world):
    full = world.base(40, start=0)
    child = world.base(39, parent=full, start=1)
    world.base(1, start=5)

    report = carry(world, plan(world).only([full]))

    assert report.expired == []
    assert {full, child} <= world.labels()
    world.require_whole()


def wal_of(world, label):
    """Numbers of the stored segments from where the backup begins."""
    manifest = world.catalog.backup(label).manifest
    first = int(manifest.start_lsn.partition("/")[2], 16) // (16 * 1024 * 1024)
    numbers = {int(key.rpartition("/")[2][16:24], 16) for key in world.stored("calibrify/data/wal/")}
    return sorted(number for number in numbers if number >= first)


def test_a_base_backup_that_nobody_approved_keeps_its_wal(world):
    old, older = world.base(30, start=2), world.base(40, start=0)
    world.base(1, start=6)
    world.wal(0, 9)

    report = carry(world, plan(world).only([older]))

    assert report.expired == [older]
    assert wal_of(world, old) == list(range(2, 10))
    assert report.wal.objects == 2


def test_a_base_backup_whose_reader_comes_at_the_last_moment_keeps_its_wal(interrupting):
    world = interrupting
    old = world.base(30, start=2)
    world.base(1, start=6)
    world.wal(0, 9)
    reading = pin(world.storage, world.target, old, holder="recover", clock=world.clock)
    world.storage.at_put = f"calibrify/meta/expiring/{old}"
    world.storage.then = reading.__enter__

    report = carry(world)

    assert old in report.kept
    assert wal_of(world, old) == list(range(2, 10))


def test_a_base_backup_that_is_read_since_the_plan_keeps_the_wal_behind_it(interrupting):
    """It stays anyway, but only what makes it consistent was to."""
    world = interrupting
    world.policy = RetentionPolicy(daily=3, min_proven=1)
    kept, old = world.base(20, start=2), world.base(30, start=0)
    world.base(10, start=6)
    world.base(1, start=8)
    world.wal(0, 9)
    assert plan(world).labels == (old,)
    reading = pin(world.storage, world.target, kept, holder="recover", clock=world.clock)
    world.storage.at = f"calibrify/data/database/{old}/"
    world.storage.then = reading.__enter__

    carry(world)

    assert wal_of(world, kept) == list(range(2, 10))


def test_a_locked_base_backup_keeps_its_wal(world):
    old = world.base(30, start=2)
    world.base(1, start=6)
    world.wal(0, 9)
    world.storage.lock_object(f"calibrify/meta/manifests/{old}.json", until=TODAY + timedelta(days=3))

    expire(world)

    assert {2, 3} <= set(wal_of(world, old))


def test_a_reader_that_comes_after_the_manifest_has_gone_is_told_so(interrupting):
    world = interrupting
    old, _ = world.dump(30), world.dump(1)

    def read() -> None:
        with (
            pytest.raises(NotFoundError, match="is being expired"),
            pin(world.storage, world.target, old, holder="restore", clock=world.clock),
        ):
            raise AssertionError("it must not begin")

    world.storage.at = f"calibrify/data/database/{old}/"
    world.storage.then = read

    assert carry(world).expired == [old]
    world.require_no_garbage()


def test_a_hold_that_comes_between_the_last_look_and_the_removal_is_respected(interrupting):
    world = interrupting
    old, _ = world.dump(30), world.dump(1)
    elsewhere = World(world.signing, name="elsewhere")
    elsewhere.dump(30)
    Holds(elsewhere.repository).place(old, reason="audit", who="ada", until=None, now=world.now)
    [document] = Holds(elsewhere.repository).documents(old)
    world.storage.at = "calibrify/meta/manifests/"
    world.storage.then = lambda: Holds(world.repository).adopt(old, document)

    report = carry(world)

    assert "audit" in report.kept[old]
    assert old in world.labels()
    world.require_whole()


# -- Others at work ------------------------------------------------------------------------------------------


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

    assert "are being expired by expire in tests" in refused[0]
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


# -- What is left of others ----------------------------------------------------------------------------------


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
