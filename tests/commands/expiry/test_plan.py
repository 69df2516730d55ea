"""What expiry plans for a repository: from manifests, proofs, holds and pins, never from dates of objects."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.wording import plan_lines
from backstop.errors import ConfigurationError, IntegrityError
from backstop.model.backup import BackupLabel
from backstop.model.retention import RetentionPolicy
from backstop.repository.holds import Holds
from backstop.repository.pins import pin, readers
from backstop.storage.memory import MemoryStorage
from tests.expiring import CLUSTER, TODAY, World


def plan(world):
    return plan_expiry(world.repository, settings=world.settings, now=world.now)


def test_what_no_rule_keeps_goes_and_says_why(world):
    old, new = world.dump(30), world.dump(1)

    made = plan(world)

    assert made.labels == (old,)
    assert "keep_last" in " ".join(made.doomed[0].reasons)
    assert {one.key for one in made.doomed[0].objects} == {
        stored.key for stored in world.catalog.backup(old).manifest.objects
    }
    assert made.freed_bytes == 40
    assert made.share_of_backups == made.share_of_bytes == 0.5
    assert world.labels() == {old, new}


def test_planning_changes_nothing(world):
    world.dump(30)
    world.tree(30)
    world.base(30)
    world.wal(0, 3)
    world.dump(1)
    before = world.stored()

    plan(world)

    assert world.stored() == before


def test_dates_of_objects_decide_nothing(signing):
    world = World(signing, MemoryStorage(clock=lambda: TODAY - timedelta(days=900)))
    world.policy = RetentionPolicy(keep_for=timedelta(days=7), min_proven=1)
    world.dump(3)
    world.dump(1)

    assert plan(world).labels == ()


def test_only_signed_proofs_of_this_copy_count(world, signing):
    old, new = world.dump(30), world.dump(1, proven=False)
    other = World(signing, name="other")
    other.dump(1)
    for info in other.storage.list("calibrify/meta/proofs/"):
        world.storage.put_once(info.key, other.storage.read(info.key))

    assert plan(world).labels == ()

    world.prove(world.catalog.backup(new))
    assert plan(world).labels == (old,)


def test_a_hold_keeps_its_backup_and_is_the_reason(world):
    old, _ = world.dump(30), world.dump(1)
    Holds(world.repository).place(old, reason="audit of the year", who="ada", until=None, now=world.now)

    made = plan(world)

    assert made.labels == ()
    [decision] = [one for one in made.retention.decisions if one.label == old]
    assert "audit of the year" in " ".join(decision.reasons)


def test_a_backup_that_is_read_stays(world):
    old, _ = world.dump(30), world.dump(1)

    with pin(world.storage, world.target, old, holder="restore", clock=world.clock):
        assert plan(world).labels == ()

    assert plan(world).labels == (old,)


def test_wal_behind_a_base_backup_that_is_read_stays(world):
    world.policy = RetentionPolicy(yearly=5, min_proven=1)
    first = world.base(400, start=0)
    world.wal(0, 9)
    world.base(1, start=8)
    assert plan(world).wal.objects == 6  # of the first, only what makes it consistent stays

    with pin(world.storage, world.target, first, holder="recover", clock=world.clock):
        assert plan(world).wal.objects == 0


def test_a_locked_backup_stays_and_its_date_is_shown(world):
    old, _ = world.dump(30), world.dump(1)
    until = TODAY + timedelta(days=10)
    world.storage.lock_object(f"calibrify/meta/manifests/{old}.json", until=until)

    made = plan(world)

    assert made.labels == ()
    assert made.locked[old].until == until
    assert made.to_dict()["locked"] == [{"label": old.text, "until": "until 2026-12-03 12:00Z"}]


def test_packs_that_newer_backups_list_stay_when_an_old_tree_goes(world):
    old = world.tree(30, new=3)
    shared, *lonely = world.packs(old)
    world.tree(1, earlier=[shared])

    [doomed] = plan(world).doomed

    keys = {one.key for one in doomed.objects}
    assert doomed.label == old
    assert shared.key not in keys
    assert {one.key for one in lonely} < keys


def test_a_pack_goes_with_the_last_backup_that_lists_it(world):
    first = world.tree(40, new=1)
    [pack] = world.packs(first)
    second = world.tree(30, new=0, earlier=[pack])
    world.tree(1)

    made = plan(world)

    assert made.labels == (first, second)
    assert pack.key not in {one.key for one in made.doomed[0].objects}
    assert pack.key in {one.key for one in made.doomed[1].objects}


def test_what_builds_on_a_base_backup_goes_before_it(world):
    full = world.base(40, start=0)
    incremental = world.base(39, parent=full, start=1)
    last = world.base(38, parent=incremental, start=2)
    world.base(1, start=4)

    assert plan(world).labels == (last, incremental, full)


@pytest.mark.parametrize("body", [b"{", b"{}"])
def test_an_unreadable_manifest_of_a_tree_keeps_all_of_that_tree_and_is_shown(world, body):
    world.tree(30)
    world.tree(1)
    other = world.tree(30, tree="config")
    world.tree(1, tree="config")
    world.storage.put_once("calibrify/meta/manifests/20261101T010000Z-tree-media.json", body)

    made = plan(world)

    assert made.labels == (other,)
    assert any("tree-media: nothing goes" in sentence for sentence in made.blocked)
    assert made.to_dict()["unreadable"]


def test_an_unreadable_base_backup_keeps_all_base_backups_and_all_wal(world):
    world.base(30, start=0)
    world.base(20, start=4)
    world.wal(0, 9)
    assert plan(world).wal.objects == 4

    world.storage.put_once("calibrify/meta/manifests/20261101T010000Z-incr.json", b"?")

    made = plan(world)
    assert made.labels == ()
    assert made.wal.objects == 0


def test_an_oddly_named_manifest_keeps_everything_but_dumps(world):
    world.tree(30)
    world.tree(1)
    old, _ = world.dump(30), world.dump(1)
    world.storage.put_once("calibrify/meta/manifests/copy of media.json", b"?")

    made = plan(world)

    assert made.labels == (old,)
    assert any("everything but dumps" in sentence for sentence in made.blocked)


def test_wal_that_no_base_backup_needs_goes_with_its_pieces_and_histories_stay(world):
    world.base(30, start=0)
    world.base(20, start=4)
    old = world.wal(0, 3)
    world.wal(4, 9)
    tail = "calibrify/tail/7000000000000000001/00000001"
    world.storage.put_once(f"{tail}/000000010000000000000002/00000000-00001000-{'a' * 16}", b"piece")
    world.storage.put_once(f"{tail}/000000010000000000000009/00000000-00001000-{'a' * 16}", b"piece")
    world.storage.put_once(f"calibrify/data/wal/{CLUSTER}/00000001.history-{'a' * 16}", b"history")

    made = plan(world)

    assert made.wal.objects == len(old) + 1
    assert made.freed_bytes == made.wal.stored_bytes + made.doomed[0].freed_bytes


def test_wal_of_a_cluster_without_any_backup_stays(world):
    world.base(30, start=0)
    world.base(1, start=0)
    world.wal(0, 5, system_id="7999999999999999999")

    assert plan(world).wal.objects == 0


def test_a_clock_far_from_the_newest_backup_is_refused(world):
    world.dump(30)
    world.dump(1)
    for wrong in (timedelta(days=-3), timedelta(days=365)):
        world.now = TODAY + wrong
        with pytest.raises(ConfigurationError):
            plan(world)


def test_a_clock_that_is_weeks_ahead_ends_neither_holds_nor_readers(world):
    old, read, _ = world.dump(30), world.dump(20), world.dump(1)
    Holds(world.repository).place(
        old, reason="audit", who="ada", until=TODAY + timedelta(days=5), now=world.now
    )
    with pin(world.storage, world.target, read, holder="restore", clock=world.clock, ttl=timedelta(days=5)):
        world.now = TODAY + timedelta(days=25)

        made = plan(world)

        assert made.labels == ()
        carry_out(made, world.repository, inventory=None, clock=world.clock)
        assert {old, read} <= world.labels()
        assert len(readers(world.storage, world.target, read, now=TODAY)) == 1


def test_a_hold_on_nobody_knows_what_stops_the_plan(world):
    world.dump(30)
    world.dump(1)
    world.storage.put_once("calibrify/meta/holds/something/1.json", b"{}")

    with pytest.raises(IntegrityError, match="hold"):
        plan(world)


def test_a_plan_for_xcom_is_small_whatever_it_removes(world):
    for day in range(10, 400):
        world.dump(day, objects=1, proven=False)
    world.dump(1)

    made = plan(world)
    told = made.to_dict()

    assert len(made.labels) == 390
    assert len(told["backups"]) == 200
    assert told["total"] == 391
    assert set(told["expires"]) == {label.text for label in made.labels}
    assert len(json.dumps(told)) < 200_000
    assert made.only([BackupLabel("20261113T120000Z-dump")]).labels == (BackupLabel("20261113T120000Z-dump"),)


def test_every_backup_that_expires_is_named_before_anybody_says_yes(world):
    for day in range(2, 302):
        world.dump(day, objects=1, proven=False)
    world.policy = RetentionPolicy(keep_last=101, min_proven=1)
    for minute in range(100):
        world.dump(1 + minute / 1440, objects=1, proven=False)
    world.dump(0.5)
    made = plan(world)
    assert len(made.labels) == 300

    text = "\n".join(plan_lines(made.to_dict(), world.now))

    assert [label.text for label in made.labels if label.text not in text] == []
    assert "100 more expire: " in text
    assert "101 more are kept" in text


def test_a_kind_that_loses_nearly_all_is_not_diluted_by_the_others(world):
    for day in (40, 30, 20, 1):
        world.tree(day)
    world.policy = RetentionPolicy(keep_last=50, min_proven=1)
    for day in range(2, 42):
        world.dump(day, objects=1, proven=False)
    assert plan(world).share_of_backups == 0.0

    world.policies["tree-media"] = RetentionPolicy(keep_last=1, min_proven=1)
    made = plan(world)

    assert made.share_of_backups == 0.75
    assert made.share_of_bytes == 0.75
