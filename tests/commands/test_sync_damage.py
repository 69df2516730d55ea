"""A source may be damaged, two may disagree: the good copy is found, what nobody can decide is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.errors import StorageFullError, StorageUnavailableError
from backstop.model.backup import BackupKind
from backstop.storage.memory import MemoryStorage
from tests.syncing import TARGET, Repositories, Worn

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path, {name: Worn(name) for name in ("local", "s3", "paris")})


def damage(world, name, label, *, cut: bool = False) -> str:
    """One object of the backup in that repository; returns its key."""
    key = world.published(name, label).manifest.objects[1].key
    body = world.storages[name].read(key)
    world.storages[name].replace(key, body[:-1] if cut else body[:-1] + bytes([body[-1] ^ 1]))
    return key


@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_object_is_named_and_taken_from_the_next_repository(world, cut):
    label = world.back_up("local", "s3")
    key = damage(world, "local", label, cut=cut)

    report = world.sync(destinations=["paris"])

    (paris,) = report.repositories
    assert paris.complete
    assert world.broken_promises("paris") == []
    assert [note for note in paris.notes if note.startswith(f"local could not give {key}")]


def test_a_backup_that_is_damaged_everywhere_is_named_and_never_published(world):
    label = world.back_up("local", "s3")
    for name in ("local", "s3"):
        damage(world, name, label)
    good = world.back_up("local")

    report = world.sync(destinations=["paris"])

    (paris,) = report.repositories
    assert not paris.complete
    assert not report.retryable
    assert [one.what for one in paris.lacking] == [label.text]
    assert "is not what was stored" in paris.lacking[0].why
    assert paris.copied == [good.text]


def test_a_lost_object_is_taken_from_the_next_repository(world):
    label = world.back_up("local", "s3")
    world.storages["local"].delete(world.published("local", label).manifest.objects[0].key)

    assert world.sync(destinations=["paris"]).complete
    assert world.broken_promises("paris") == []


def test_a_manifest_that_nobody_can_believe_is_named_and_no_source(world):
    label = world.back_up("local", "s3")
    key = f"{TARGET}/meta/manifests/{label}.json"
    world.storages["local"].replace(key, world.storages["local"].read(key).replace(b"180004", b"180005"))

    report = world.sync(destinations=["paris"])

    assert report.complete
    assert "was changed after key" in report.notes[0]
    assert world.broken_promises("paris") == []
    assert "was changed after key" in world.sync(destinations=["local"]).sentences()[0]


def test_two_backups_with_one_label_are_named_and_both_stay(world):
    label = world.back_up("local")
    world.made -= 1
    assert world.back_up("s3") == label
    before = world.content("local"), world.content("s3")

    report = world.sync()

    assert not report.complete
    assert not report.retryable
    assert [[entry.what for entry in one.lacking] for one in report.repositories] == [[label.text]] * 3
    assert (world.content("local"), world.content("s3")) == before
    assert world.content("paris") == {"wal": []}


def test_an_object_of_an_earlier_attempt_is_used_only_when_it_is_whole(world):
    label = world.back_up("local")
    objects = world.published("local", label).manifest.objects
    local, s3 = world.storages["local"], world.storages["s3"]
    s3.upload(objects[0].key, local.read(objects[0].key))
    s3.upload(objects[1].key, b"x" * objects[1].stored_bytes)

    report = world.sync(destinations=["s3"])

    assert "is not what was stored" in report.sentences()[0]
    assert "removed as an orphan" in report.sentences()[0]
    assert world.content("s3") == {"wal": []}
    s3.delete(objects[1].key)
    (done,) = world.sync(destinations=["s3"]).repositories
    assert (done.complete, done.objects, done.recognised) == (True, 1, 1)


def test_a_role_that_may_not_read_recognises_objects_by_name_and_size(world):
    label = world.back_up("local")
    local, s3 = world.storages["local"], world.storages["s3"]
    for stored in world.published("local", label).manifest.objects:
        s3.upload(stored.key, local.read(stored.key))
    s3.forbidden = f"{TARGET}/data/"

    (done,) = world.sync(destinations=["s3"]).repositories

    assert (done.complete, done.objects, done.recognised) == (True, 0, 2)


@pytest.mark.parametrize(
    "error", [StorageFullError("no space left"), StorageUnavailableError("switched off")]
)
def test_a_destination_that_fails_half_way_is_named_and_the_others_are_filled(world, monkeypatch, error):
    for _ in range(3):
        world.back_up("local")
    s3 = world.storages["s3"]
    uploads = []

    def upload(key, source):
        uploads.append(key)
        if len(uploads) > 3:
            raise error
        return MemoryStorage.upload(s3, key, source)

    monkeypatch.setattr(s3, "upload", upload)

    report = world.sync()

    assert report.repositories[1].error is error
    assert report.retryable is error.retryable
    assert report.repositories[2].complete
    assert world.broken_promises("s3") == []
    monkeypatch.undo()
    done = world.sync(destinations=["s3"]).repositories[0]
    assert (done.complete, done.recognised) == (True, 3)
    assert world.content("s3") == world.content("local")


def test_a_source_that_goes_silent_is_not_asked_again(world, monkeypatch):
    for _ in range(5):
        world.back_up("local", "s3")
    local = world.storages["local"]
    asked = []

    def silent(key, **named):
        asked.append(key)
        raise StorageUnavailableError("switched off")

    monkeypatch.setattr(local, "open", silent)

    report = world.sync(destinations=["paris"], settings={"copies_at_once": 1})

    assert report.complete
    assert len(asked) == 1


def test_an_increment_is_published_only_where_all_it_builds_on_is(world):
    world.segments("local", [5])
    full = world.base_backup("local")
    damage(world, "local", full)
    incremental = world.base_backup("local", parent=full)

    (s3,) = world.sync(destinations=["s3"]).repositories

    assert [one.what for one in s3.lacking] == [full.text, incremental.text]
    assert world.content("s3")["wal"] == world.content("local")["wal"]
    assert len(world.content("s3")) == 1


def test_a_base_backup_is_published_only_where_its_wal_is(world):
    full = world.base_backup("local", segment=5)
    world.segments("local", [6])

    (s3,) = world.sync(destinations=["s3"]).repositories

    assert "the WAL of timeline 1 from 0/500000 to 0/501000" in s3.lacking[0].why
    world.segments("local", [5])

    assert world.sync(destinations=["s3"]).complete
    assert full.text in world.content("s3")


def test_a_pack_that_both_name_and_the_destination_has_lost_keeps_the_newer_backup_unpublished(world):
    first = world.back_up("local", "s3", kind=BackupKind.TREE, tree="media")
    packs = world.published("local", first).manifest.objects
    newer = world.back_up(
        "local", kind=BackupKind.TREE, tree="media", earlier=packs, refers_to=(first,), objects=1
    )
    world.storages["s3"].delete(packs[0].key)

    (s3,) = world.sync(destinations=["s3"]).repositories

    # It is not named as known any more, so it is simply copied again.
    assert s3.complete
    assert world.broken_promises("s3") == []
    assert newer.text in world.content("s3")
