"""Expiry carried out when something is held, read or changed between the plan and the act."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.commands.expiry import wal_removal
from backstop.commands.expiry.carry_out import carry_out
from backstop.errors import ConfigurationError, NotFoundError
from backstop.model.retention import RetentionPolicy
from backstop.repository.holds import Holds
from backstop.repository.pins import pin
from tests.commands.expiry.carrying import carry, expire, plan, wal_of
from tests.expiring import TODAY, World


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


def test_a_recovery_that_begins_while_wal_goes_keeps_what_is_left_of_it(interrupting, monkeypatch):
    monkeypatch.setattr(wal_removal, "_BATCH", 1)
    world = interrupting
    world.policy = RetentionPolicy(daily=3, min_proven=1)
    kept = world.base(20, start=2)
    world.base(10, start=6)
    world.base(1, start=8)
    world.wal(0, 9)
    reading = pin(world.storage, world.target, kept, holder="recover", clock=world.clock)
    world.storage.at = "calibrify/data/wal/"
    world.storage.then = reading.__enter__

    report = carry(world)

    assert wal_of(world, kept) == list(range(2, 10))
    assert report.wal.objects == 1
    (waiting,) = report.waiting
    assert f"because {kept} is being read: recover" in waiting


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
