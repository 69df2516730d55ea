"""Whatever one repository has and another should have is copied, checked, and never opened."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands import object_copy
from backstop.errors import NotFoundError, SourceUnavailableError, StorageFullError
from backstop.model.backup import BackupKind
from backstop.model.retention import Decision, RetentionPlan
from backstop.repository.holds import Holds
from backstop.repository.lock import Lease
from backstop.repository.pins import readers
from backstop.storage.memory import MemoryStorage
from tests.syncing import TARGET, Repositories, Worn

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path, {name: Worn(name) for name in ("local", "s3")})


@pytest.fixture
def three(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path, {name: Worn(name) for name in ("local", "s3", "paris")})


def keep_newer_than(hours: int):
    """A retention by age alone."""

    def decide(name, candidates, now, seen):
        decisions = [
            Decision(
                one.label, bool(one.kept_because) or now - one.finished_at < timedelta(hours=hours), ("age",)
            )
            for one in candidates
        ]
        return RetentionPlan(tuple(decisions), None, ())

    return decide


def test_each_repository_gets_what_the_other_has(world):
    world.back_up("local", "s3")
    world.back_up("local")
    world.back_up("s3")
    world.back_up("local", kind=BackupKind.TREE, tree="media")

    report = world.sync()

    assert report.complete
    assert {one.name: len(one.copied) for one in report.repositories} == {"local": 1, "s3": 2}
    assert world.content("local") == world.content("s3")
    assert world.broken_promises("local") == world.broken_promises("s3") == []
    assert list((world.folder / "staging").iterdir()) == []


def test_a_copys_manifest_is_of_its_own_repository_signed_anew_and_unproven(world):
    label = world.back_up("local")
    published = world.published("local", label)
    world.repository("s3").catalog.repository_id(create=True)

    world.sync()

    copy = world.published("s3", label)
    assert copy.manifest.repository_id == world.repository("s3").catalog.repository_id()
    assert copy.manifest.repository_id != published.manifest.repository_id
    assert copy.manifest.signature.key == world.signer.key_id
    assert not world.repository("s3").catalog.verifications(copy).proofs


def test_a_second_sync_copies_nothing_and_writes_nothing(world):
    world.back_up("local")
    world.segments("local", [1, 2])
    world.sync()
    before = [info.key for info in world.storages["s3"].list("")]

    report = world.sync()

    assert report.complete
    assert [(one.copied, one.objects, one.stored_bytes) for one in report.repositories] == [([], 0, 0)] * 2
    assert [info.key for info in world.storages["s3"].list("")] == before


def test_what_was_copied_is_entered_into_the_inventory_and_one_that_is_down_is_told_later(world):
    label = world.back_up("local")
    entered = []

    class Inventory:
        down = False

        def expired(self, repository):
            if self.down:
                raise SourceUnavailableError("the inventory is down")
            return frozenset()

        def record(self, repository, published, proofs):
            if self.down:
                raise SourceUnavailableError("the inventory is down")
            entered.append((repository.name, published.manifest.label, proofs))

    inventory = Inventory()
    world.sync(inventory=inventory)
    assert entered == [("s3", label, ())]

    second = world.back_up("local")
    inventory.down = True
    report = world.sync(inventory=inventory)

    assert report.complete
    assert second.text in world.content("s3")
    assert f"the inventory does not know yet of {second} in s3" in report.repositories[1].notes[-1]


def test_a_copys_manifest_names_the_versions_that_its_own_bucket_gave(tmp_path):
    world = Repositories(tmp_path, {"local": Worn("local"), "s3": MemoryStorage("s3", versioned=True)})
    label = world.back_up("local")
    local, s3 = world.storages["local"], world.storages["s3"]
    left_there = world.published("local", label).manifest.objects[0].key
    s3.upload(left_there, local.read(left_there))

    assert world.sync().complete

    objects = world.published("s3", label).manifest.objects
    assert [one.version_id for one in objects] == [s3.stat(one.key).version_id for one in objects]
    assert None not in {one.version_id for one in objects}


def test_a_full_disk_for_staging_says_so_and_what_was_copied_stays(world, monkeypatch):
    world.back_up("local")
    world.segments("local", [1])
    write = object_copy._write_all

    def full(sink, block):
        if len(block) > 64:
            raise OSError(errno.ENOSPC, "no space")
        write(sink, block)

    monkeypatch.setattr(object_copy, "_write_all", full)

    with pytest.raises(StorageFullError, match="no space left for staging"):
        world.sync(destinations=["s3"])
    assert world.content("s3")["wal"] == world.content("local")["wal"]
    assert list((world.folder / "staging").iterdir()) == []


def test_a_third_repository_gets_the_whole_history(three):
    first = three.back_up("local", "s3", kind=BackupKind.TREE, tree="media")
    packs = three.published("local", first).manifest.objects
    three.back_up("local", kind=BackupKind.TREE, tree="media", earlier=packs, refers_to=(first,))
    three.back_up("s3")
    three.segments("s3", [5])
    full = three.base_backup("local", "s3")
    three.base_backup("local", parent=full)

    report = three.sync()

    assert report.complete
    assert three.content("paris") == three.content("local") == three.content("s3")
    assert three.broken_promises("paris") == []


def test_packs_that_two_backups_share_are_copied_once(world):
    first = world.back_up("local", "s3", kind=BackupKind.TREE, tree="media", objects=5)
    packs = world.published("local", first).manifest.objects
    world.back_up("local", kind=BackupKind.TREE, tree="media", objects=1, earlier=packs, refers_to=(first,))

    report = world.sync(destinations=["s3"])

    assert [(one.objects, one.recognised) for one in report.repositories] == [(1, 0)]
    assert world.broken_promises("s3") == []


def test_a_dry_run_says_what_would_be_copied_and_writes_nothing(world):
    label = world.back_up("local")
    world.segments("local", [1, 2])

    report = world.sync(dry_run=True, destinations=["s3"])

    (s3,) = report.repositories
    assert s3.copied == [label.text]
    assert s3.wal_objects == 2
    assert s3.stored_bytes == 100 + 101 + 2 * 64
    assert list(world.storages["s3"].list("")) == []


def test_what_would_expire_at_once_is_not_copied(world):
    world.back_up("local")
    world.made += 100
    young = world.back_up("local")

    report = world.sync(settings={"retention": keep_newer_than(48)})

    s3 = report.repositories[1]
    assert (s3.copied, s3.unwanted) == ([young.text], 1)
    assert s3.complete


def test_an_old_backup_that_is_held_is_copied_with_its_hold(world):
    old = world.back_up("local")
    Holds(world.repository("local")).place(old, reason="audit", who="ada", until=None, now=world.now)
    world.made += 100
    world.back_up("local", "s3")

    report = world.sync(settings={"retention": keep_newer_than(48)})

    assert report.repositories[1].copied == [old.text]
    (hold,) = Holds(world.repository("s3")).in_force(world.now)[old]
    assert hold.reason == "audit"


def test_a_hold_that_was_placed_while_a_repository_was_down_is_completed_there(world):
    label = world.back_up("local", "s3")
    Holds(world.repository("local")).place(label, reason="audit", who="ada", until=None, now=world.now)

    world.sync()

    assert [hold.reason for hold in Holds(world.repository("s3")).in_force(world.now)[label]] == ["audit"]
    ours = Holds(world.repository("local"))
    ours.release(label, 1, who="bob", now=world.now, signer=world.proof_signer)

    assert world.sync().repositories[1].holds == 1
    assert Holds(world.repository("s3")).in_force(world.now) == {}


def test_a_backup_that_was_expired_on_purpose_does_not_come_back(world):
    gone = world.back_up("local")
    world.back_up("local", "s3")

    class Inventory:
        def expired(self, repository):
            return frozenset({gone} if repository.name == "s3" else ())

        def record(self, *_):
            raise AssertionError("nothing was copied")

    report = world.sync(inventory=Inventory())

    assert report.complete
    assert gone.text not in world.content("s3")


def test_a_backup_that_is_being_expired_is_neither_copied_from_nor_back(world):
    going = world.back_up("local")
    world.back_up("local", "s3")
    world.storages["local"].put_once(f"{TARGET}/meta/expiring/{going}.json", b"{}")

    assert world.sync().complete
    assert going.text not in world.content("s3")
    world.storages["local"].delete(f"{TARGET}/meta/expiring/{going}.json")
    world.storages["s3"].put_once(f"{TARGET}/meta/expiring/{going}.json", b"{}")

    assert world.sync().complete
    assert going.text not in world.content("s3")


def at_the_lease(kind: str, happens: Callable[[], object]) -> AbstractContextManager[pytest.MonkeyPatch]:
    """Something that happens after everything was copied, just before the lease of this kind is taken."""
    acquire = Lease.acquire.__func__

    def first(cls, storage, target, asked, **named):
        if asked == kind:
            happens()
        return acquire(cls, storage, target, asked, **named)

    @contextmanager
    def patched():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Lease, "acquire", classmethod(first))
            yield patch

    return patched()


def test_a_backup_whose_expiry_begins_while_it_is_copied_is_not_published(world):
    label = world.back_up("local")
    mark = f"{TARGET}/meta/expiring/{label}.json"

    with at_the_lease("dump", lambda: world.storages["s3"].put_once(mark, b"{}")):
        report = world.sync()

    assert "is being expired there" in report.sentences()[0]
    assert label.text not in world.content("s3")


def test_a_source_is_marked_as_being_read_while_its_backup_is_copied(world, monkeypatch):
    label = world.back_up("local")
    local, seen = world.storages["local"], []

    def watched(key, **named):
        if "/data/" in key:
            seen.append([one.holder for one in readers(local, TARGET, label, now=world.now)])
        return Worn.open(local, key, **named)

    monkeypatch.setattr(local, "open", watched)

    world.sync()

    assert [[holder.split(" on ")[0] for holder in one] for one in seen] == [["test"], ["test"]]
    assert readers(local, TARGET, label, now=world.now) == ()


@pytest.mark.parametrize("call", ["put_once", "open"], ids=["before", "while"])
def test_a_backup_that_expires_elsewhere_before_or_while_it_is_copied_is_no_loss(world, monkeypatch, call):
    label = world.back_up("local")
    rest = world.back_up("local")
    local = world.storages["local"]
    keys = [one.key for one in world.published("local", label).manifest.objects]
    doomed = [f"{TARGET}/meta/manifests/{label}.json", *keys]

    # The first object that is written there is the mark that it is being read.
    def expire_then(key, *given, **named):
        if call == "put_once" or key in keys:
            for one in doomed:
                local.delete(one)
        return getattr(Worn, call)(local, key, *given, **named)

    monkeypatch.setattr(local, call, expire_then)

    (s3,) = world.sync(destinations=["s3"], settings={"copies_at_once": 1}).repositories

    assert s3.complete
    assert s3.copied == [rest.text]
    assert [note for note in s3.notes if f"{label} expired elsewhere" in note]


def test_what_others_build_on_comes_first_whatever_the_clocks_said(world):
    world.segments("local", [5])
    early = world.base_backup("local")
    late = world.base_backup("local")
    # The clock was set back: what builds on the later one seems to be the oldest of all.
    world.made -= 10
    child = world.base_backup("local", parent=late)

    (s3,) = world.sync(destinations=["s3"]).repositories

    assert s3.copied == [late.text, child.text, early.text]


def test_a_tree_goes_only_where_it_belongs(three):
    tree = three.back_up("local", kind=BackupKind.TREE, tree="media")
    dump = three.back_up("local")

    three.sync(settings={"places": lambda label: ["local", "paris"] if label.tree else ["local", "s3"]})

    assert list(three.content("s3")) == [dump.text, "wal"]
    assert list(three.content("paris")) == [tree.text, "wal"]


def test_backups_of_a_tree_that_nobody_names_any_more_are_told_of(world):
    world.back_up("local", kind=BackupKind.TREE, tree="old")

    report = world.sync(settings={"places": lambda label: []})

    assert report.complete
    assert "1 backups of old stay where they are" in report.notes[0]


def test_an_unknown_repository_is_refused_by_name(world):
    with pytest.raises(NotFoundError, match="no repository 'tape'"):
        world.sync(destinations=["tape"])


def test_a_repository_that_does_not_answer_does_not_stop_the_others(three):
    label = three.back_up("local")
    three.storages["s3"].down = True

    report = three.sync()

    assert not report.complete
    assert report.retryable
    assert [sentence[:3] for sentence in report.sentences()] == ["s3:"]
    assert label.text in three.content("paris")


def test_a_running_backup_keeps_its_lease_and_the_copy_is_published_by_the_next_run(world):
    label = world.back_up("local")
    with Lease.acquire(world.storages["s3"], TARGET, "dump", holder="a backup", clock=lambda: world.now):
        report = world.sync()

        assert report.retryable
        assert "being written by a backup" in report.sentences()[0]
        assert label.text not in world.content("s3")

    report = world.sync()

    assert report.complete
    assert (report.repositories[1].objects, report.repositories[1].recognised) == (0, 2)
    assert world.broken_promises("s3") == []


@pytest.mark.parametrize("kind", ["dump", "sync"])
def test_nothing_is_published_while_somebody_backs_up_expires_or_syncs(world, kind):
    label = world.back_up("local")
    with Lease.acquire(world.storages["s3"], TARGET, kind, holder="somebody", clock=lambda: world.now):
        report = world.sync(destinations=["s3"])

    assert report.retryable
    assert not report.complete
    assert label.text not in world.content("s3")


def test_an_object_that_vanished_before_the_manifest_keeps_the_backup_unpublished(world):
    label = world.back_up("local")
    key = world.published("local", label).manifest.objects[0].key

    # As a sweep of orphans would take it, between the copy and the lease.
    with at_the_lease("dump", lambda: world.storages["s3"].delete(key)):
        report = world.sync()

    assert "is gone or another now" in report.sentences()[0]
    assert label.text not in world.content("s3")
    assert world.sync().complete


def test_a_manifest_with_an_odd_name_is_told(world):
    label = world.back_up("local")
    world.storages["local"].put_once(f"{TARGET}/meta/manifests/copy of a dump.json", b"{}")

    report = world.sync()

    assert any("odd name 'copy of a dump.json'" in note for note in report.notes)
    assert label.text in world.content("s3")


def test_a_base_backup_whose_position_cannot_be_read_is_copied_all_the_same(world):
    label = world.back_up("local", kind=BackupKind.FULL, start_lsn="nonsense", end_lsn="0/1")

    world.sync(settings={"retention": keep_newer_than(48)})

    assert label.text in world.content("s3")


def test_two_repositories_with_one_id_are_refused(world):
    world.back_up("local")
    for info in world.storages["local"].list(""):
        world.storages["s3"].upload(info.key, world.storages["local"].read(info.key))

    report = world.sync()

    assert "have the same id" in report.sentences()[0]


def test_a_report_stays_small(world):
    for _ in range(60):
        world.back_up("local", objects=1)

    document = world.sync().to_dict()

    labels = document["repositories"][1]["labels"]
    assert (len(labels), labels[-1]) == (21, "and 40 more")
