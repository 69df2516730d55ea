"""What belongs to no backup: found, told apart from what only looks so, removed when nobody can name it."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from datetime import timedelta

import pytest

from backstop.commands.orphans.find import find_orphans
from backstop.commands.orphans.named import named_objects
from backstop.commands.orphans.remove import remove_orphans
from backstop.commands.progress import Silent
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import IntegrityError, LeaseHeldError
from backstop.model.backup import BackupKind, BackupLabel, StoredObject
from backstop.model.canonical import sha256_hex
from backstop.repository.claims import Claim
from backstop.repository.lock import Lease
from backstop.repository.pins import pin
from backstop.settings.arguments import utc_now
from backstop.storage.memory import MemoryStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.making import STARTED, Maker
from tests.storage.conftest import Key

GRACE = timedelta(days=3)
LATER = STARTED + timedelta(days=30)
DUMPS = "calibrify/data/database"
LOST = f"{DUMPS}/20261120T010000Z-dump/00000000000000aa"
WAL = "calibrify/data/wal/7000000000000000001/00000001"
TAIL = "calibrify/tail/7000000000000000001/00000001"


class Clock:
    """Of the storage and of us, unless one of them is set apart."""

    def __init__(self):
        self.now = STARTED

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def maker(tmp_path, clock) -> Maker:
    """A repository with one published dump, all of it a month old."""
    made = make(tmp_path, MemoryStorage(clock=clock, versioned=True))
    made.published = made.publish()
    return made


def make(tmp_path, storage) -> Maker:
    create_signing_keys(tmp_path / "signing")
    return Maker(
        storage,
        LocalKeyring.create(tmp_path / "ring.json", STARTED),
        Signer.load(tmp_path / "signing" / "manifest.pem"),
        TrustedSigners.load(tmp_path / "signing" / "trusted.json"),
    )


def find(maker, *, now=LATER, grace=GRACE):
    return find_orphans(maker.repository, grace=grace, now=now)


def remove(maker, found, clock=lambda: LATER, *, grace=GRACE):
    return remove_orphans(maker.repository, found, grace=grace, holder="test", clock=clock, progress=Silent())


def keys(orphans):
    return sorted(one.key for one in orphans)


def stored(maker, prefix="calibrify/"):
    return {info.key for info in maker.storage.list(prefix)}


def test_what_a_manifest_names_is_no_orphan(maker):
    found = find(maker)

    assert (found.removable, found.young, found.foreign) == ([], [], [])


def test_an_attempt_that_was_never_published_is_found_and_removed_on_request(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"one")
    maker.storage.upload(f"{LOST}/toc", b"three")
    label = maker.published.manifest.label
    maker.storage.upload(f"{DUMPS}/{label}/00000000000000bb/toc", b"of another attempt")
    before = stored(maker)

    found = find(maker)

    assert keys(found.removable) == sorted(
        [f"{LOST}/t/1", f"{LOST}/toc", f"{DUMPS}/{label}/00000000000000bb/toc"]
    )
    assert {one.why for one in found.removable} == {
        "no backup 20261120T010000Z-dump exists",
        "of an attempt that was not published",
    }
    clock.now = LATER
    removal = remove(maker, found)
    assert (removal.objects, removal.stored_bytes, removal.left) == (3, 26, ())
    assert {key for key in stored(maker) if "/lease/" not in key} == before - set(keys(found.removable))
    assert not find(maker).removable


def test_what_is_younger_than_the_grace_period_is_left_and_an_attempt_is_as_young_as_its_newest(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"old")
    clock.now = LATER - timedelta(days=2)
    maker.storage.upload(f"{LOST}/t/2", b"new")

    found = find(maker)

    assert found.removable == []
    assert keys(found.young) == [f"{LOST}/t/1", f"{LOST}/t/2"]


def test_age_is_judged_by_the_storages_clock_when_it_comes_to_removing(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"fresh")
    found = find(maker, now=LATER)
    assert found.removable

    # Ours is a month ahead of it.
    removal = remove(maker, found)

    assert removal.objects == 0
    assert f"{LOST}/t/1" in stored(maker)


def test_a_running_backup_is_left_alone_however_long_it_takes(maker, clock):
    maker.storage.upload(f"{LOST}/t/0", b"left by an earlier one")
    clock.now = STARTED + timedelta(days=10)
    with Lease.acquire(maker.storage, "calibrify", "dump", holder="slow", clock=lambda: LATER):
        running = f"{DUMPS}/20261203T010000Z-dump/00000000000000cc/t/1"
        maker.storage.upload(running, b"on its way")

        found = find(maker)
        removal = remove(maker, found)

        assert keys(found.running) == [running]
        assert keys(found.removable) == [f"{LOST}/t/0"]
        assert removal.objects == 0
        assert "are left for another time" in removal.left[0]
        assert {running, f"{LOST}/t/0"} <= stored(maker)


def test_a_backup_that_starts_after_the_listing_keeps_everything_of_its_kind(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"lost")
    found = find(maker)

    clock.now = LATER
    with Lease.acquire(maker.storage, "calibrify", "dump", holder="backup", clock=clock):
        assert remove(maker, found).objects == 0

    assert remove(maker, found).objects == 1


def test_a_manifest_that_is_published_between_listing_and_removal_keeps_its_objects(maker, clock):
    late = STARTED - timedelta(days=3)
    label = BackupLabel.at(late, BackupKind.DUMP)
    objects = [maker.put(label, "toc", b"PGDMP", layout="file", name="toc.dat")]
    found = find(maker)
    assert keys(found.removable) == [objects[0].key]

    maker.catalog.publish(maker.manifest(label, objects, late), signer=maker.signer, ensure_held=lambda: None)
    clock.now = LATER

    assert remove(maker, found).objects == 0
    assert objects[0].key in stored(maker)


def test_between_the_last_look_and_the_removal_nobody_can_publish(maker, clock, monkeypatch):
    maker.storage.upload(f"{LOST}/t/1", b"lost")
    found = find(maker)
    clock.now = LATER
    looked = []

    def look(repository, *, lease):
        named = named_objects(repository, lease=lease)
        with pytest.raises(LeaseHeldError):
            Lease.acquire(maker.storage, "calibrify", "dump", holder="backup", clock=clock)
        looked.append(lease)
        return named

    monkeypatch.setattr("backstop.commands.orphans.remove.named_objects", look)

    assert remove(maker, found).objects == 1
    assert looked == ["dump"]


def test_of_backups_that_are_published_while_orphans_are_removed_none_loses_an_object(tmp_path):
    maker = make(tmp_path, MemoryStorage())
    ended = threading.Event()
    published = []

    def back_up():
        try:
            back_up_often()
        finally:
            ended.set()

    def back_up_often():
        for number in range(25):
            with acquired(maker.storage):
                label = BackupLabel.at(STARTED + timedelta(days=number), BackupKind.DUMP)
                key = f"{DUMPS}/{label}/0123456789abcdef/toc"
                maker.storage.upload(key, b"PGDMP")
                threading.Event().wait(0.002)
                sha256 = sha256_hex(b"PGDMP")
                stored = StoredObject(key, "file", "toc.dat", 5, 5, sha256, sha256)
                manifest = maker.manifest(label, [stored], STARTED)
                published.append(
                    maker.catalog.publish(manifest, signer=maker.signer, ensure_held=lambda: None)
                )

    thread = threading.Thread(target=back_up)
    thread.start()
    while not ended.is_set():
        now = utc_now()
        # The worst grace period there is: none.
        found = find_orphans(maker.repository, grace=timedelta(0), now=now)
        found.removable += found.running
        remove(maker, found, utc_now, grace=timedelta(0))
    thread.join()

    assert len(published) == 25
    for one in published:
        assert maker.storage.read(one.manifest.objects[0].key) == b"PGDMP"


def test_a_backup_published_after_its_folder_was_listed_is_not_taken_for_a_deleted_one(tmp_path, monkeypatch):
    maker = make(tmp_path, MemoryStorage())
    listed = maker.catalog.labels

    def labels():
        found = list(listed())
        maker.publish()
        return found

    monkeypatch.setattr(maker.repository.catalog, "labels", labels)

    assert named_objects(maker.repository).unreadable == []


@contextlib.contextmanager
def acquired(storage):
    """The lease of dumps, as soon as nobody has it."""
    while True:
        try:
            lease = Lease.acquire(storage, "calibrify", "dump", holder="backup", clock=utc_now)
            break
        except LeaseHeldError:
            threading.Event().wait(0.001)
    with lease:
        yield


def test_during_a_sync_nothing_is_removed(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"copied days ago, its manifest to come")
    found = find(maker)
    clock.now = LATER
    with Lease.acquire(maker.storage, "calibrify", "sync", holder="sync", clock=clock):
        assert find(maker).removable == []
        assert remove(maker, found).objects == 0


def test_one_manifest_that_cannot_be_trusted_and_nothing_is_removable(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"lost")
    maker.storage.put_once("calibrify/meta/manifests/20261121T010000Z-dump.json", b"{}")
    clock.now = LATER

    found = find(maker)

    assert found.cannot_tell
    with pytest.raises(IntegrityError, match="cannot be told"):
        remove(maker, found)
    assert f"{LOST}/t/1" in stored(maker)


def test_what_an_unreadable_manifest_may_name_is_not_called_left_over(maker):
    maker.storage.upload(f"{LOST}/t/1", b"perhaps needed")
    label = LOST.split("/")[-2]
    maker.storage.put_once(f"calibrify/meta/manifests/{label}.json", b'{"format": 2}')

    (orphan,) = find(maker).removable

    assert orphan.why == f"the manifest of {label} cannot be read, and may name it"


def test_a_manifest_that_is_damaged_after_the_listing_stops_the_removal(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"lost")
    found = find(maker)
    maker.storage.put_once("calibrify/meta/manifests/20261121T010000Z-dump.json", b"{}")
    clock.now = LATER

    removal = remove(maker, found)

    assert removal.objects == 0
    assert removal.left


def test_what_is_being_expired_is_left_to_expiry(maker):
    other = "20261119T010000Z-tree-media"
    pack = f"calibrify/data/trees/media/{other}/00000000000000dd/packs/1"
    maker.storage.upload(f"{LOST}/t/1", b"going")
    maker.storage.upload(pack, b"a pack that it lists")
    document = {"manifest": {"objects": [{"key": pack}]}}
    maker.storage.put_once(
        "calibrify/meta/expiring/20261120T010000Z-dump.json", json.dumps(document).encode()
    )

    found = find(maker)

    assert (found.removable, found.young) == ([], [])


@pytest.mark.parametrize(
    "key",
    [
        "calibrify/data/notes.txt",
        f"{DUMPS}/my own copy/dump.sql",
        f"{DUMPS}/20261120T010000Z-dump/short/toc",
        "calibrify/data/trees/media/20261120T010000Z-tree-config/00000000000000aa/files",
        f"{WAL}/000000010000000000000005",
        f"{WAL}/000000020000000000000005-0123456789abcdef",
        "calibrify/tail/readme",
        "calibrify/meta/proofs/of ours/x.json",
        'calibrify/Ünïcode "quoted" name/ä b',
    ],
)
def test_what_has_no_name_of_ours_is_listed_as_such_and_never_removed(maker, clock, key):
    maker.storage.upload(key, b"not ours")
    clock.now = LATER

    found = find(maker)

    assert keys(found.foreign) == [key]
    assert found.removable == []
    remove(maker, found)
    assert key in stored(maker)


@pytest.mark.parametrize(
    "key",
    [
        f"{WAL}/000000010000000000000005-0123456789abcdef",
        "calibrify/data/wal/7000000000000000001/00000002.history-0123456789abcdef",
        f"{TAIL}/000000010000000000000009/00000000-00001000-0123456789abcdef",
        "calibrify/meta/lease/dump/000000000001-000000.json",
        "calibrify/meta/checks/20261120T010000000000Z-aa.json",
        "calibrify/meta/incidents/1.json",
        "calibrify/meta/evidence/1.json",
        "calibrify/meta/holds/20261120T010000Z-dump/1.json",
        "calibrify/meta/accepted/20261120T010000Z-dump.json",
    ],
)
def test_wal_and_what_is_kept_whatever_becomes_of_backups_is_no_orphan(maker, key):
    body = Claim.of_this_process("x", expires_at=STARTED).to_json()
    maker.storage.upload(key, body)

    found = find(maker)

    assert (found.removable, found.foreign) == ([], [])


def test_pieces_of_a_segment_that_is_whole_are_removed_and_the_others_stay(maker, clock):
    spare = f"{TAIL}/000000010000000000000005/00000000-00001000-0123456789abcdef"
    needed = f"{TAIL}/000000010000000000000006/00000000-00001000-0123456789abcdef"
    maker.storage.upload(f"{WAL}/000000010000000000000005-0123456789abcdef", b"whole")
    maker.storage.upload(spare, b"piece")
    maker.storage.upload(needed, b"piece")
    clock.now = LATER

    found = find(maker)

    assert keys(found.removable) == [spare]
    assert remove(maker, found).objects == 1
    assert needed in stored(maker)


def test_pieces_stay_when_their_whole_segment_is_gone_by_the_time_of_the_removal(maker, clock):
    spare = f"{TAIL}/000000010000000000000005/00000000-00001000-0123456789abcdef"
    whole = f"{WAL}/000000010000000000000005-0123456789abcdef"
    maker.storage.upload(whole, b"whole")
    maker.storage.upload(spare, b"piece")
    found = find(maker)
    maker.storage.delete(whole)
    clock.now = LATER

    assert remove(maker, found).objects == 0


def test_proofs_and_marks_of_backups_that_are_gone_are_left_overs_but_not_while_somebody_reads(maker, clock):
    gone = BackupLabel("20261120T010000Z-dump")
    maker.storage.put_once(f"calibrify/meta/proofs/{gone}/x.json", b"{}")
    with pin(maker.storage, "calibrify", gone, holder="old", clock=clock):
        pass
    reading = BackupLabel("20261121T010000Z-dump")
    with pin(maker.storage, "calibrify", reading, holder="reader", clock=lambda: LATER):
        found = find(maker)

    assert f"calibrify/meta/proofs/{gone}/x.json" in keys(found.removable)
    assert any(f"/pins/{gone}/" in key for key in keys(found.removable))
    assert not any(str(reading) in key for key in keys(found.removable))
    clock.now = LATER
    remove(maker, found)
    assert not any(str(gone) in key for key in stored(maker))


def test_every_version_and_every_mark_of_an_orphan_goes(maker, clock):
    maker.storage.upload(f"{LOST}/t/1", b"one")
    maker.storage.delete(f"{LOST}/t/1")
    maker.storage.upload(f"{LOST}/t/1", b"two")
    maker.storage.delete(f"{LOST}/t/1")
    clock.now = LATER

    found = find(maker)
    removal = remove(maker, found)

    assert found.removable[0].stored_bytes == 6
    assert removal.stored_bytes == 6
    assert list(maker.storage.versions(f"{LOST}/")) == []


def test_an_object_of_a_backup_that_somebody_deleted_is_no_orphan_in_any_version(maker, clock):
    key = maker.published.manifest.objects[0].key
    maker.storage.delete(key)
    clock.now = LATER

    found = find(maker)
    remove(maker, found)

    assert found.removable == []
    assert maker.storage.read(key, version_id=maker.published.manifest.objects[0].version_id)


def test_five_thousand_orphans_are_found_and_removed_in_batches(maker, clock):
    wanted = [f"{DUMPS}/20261120T010000Z-dump/{number % 7:016x}/t/{number}" for number in range(5003)]
    for key in wanted:
        maker.storage.upload(key, b"x")
    clock.now = LATER

    found = find(maker)

    assert keys(found.removable) == sorted(wanted)
    assert json.loads(json.dumps(found.counts()))["removable"] == {"objects": 5003, "stored_bytes": 5003}
    assert remove(maker, found).objects == 5003
    assert stored(maker, DUMPS) == {one.key for one in maker.published.manifest.objects}


def test_killed_in_the_middle_the_next_run_removes_the_rest(maker, clock, monkeypatch):
    for number in range(1200):
        maker.storage.upload(f"{LOST}/t/{number}", b"x")
    clock.now = LATER
    delete_many, batches = MemoryStorage.delete_many, []

    def dying(self, versions):
        batches.append(1)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return delete_many(self, versions)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStorage, "delete_many", dying)
        with pytest.raises(KeyboardInterrupt):
            remove(maker, find(maker))

    assert remove(maker, find(maker)).objects == 700


# -- A bucket ------------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_in_a_versioned_bucket_orphans_and_unfinished_uploads_go_and_the_backup_stays(seaweedfs, tmp_path):
    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    bucket = f"orphans-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    maker = make(tmp_path, S3Storage(client, bucket=bucket))
    published = maker.publish()
    maker.storage.upload(f"{LOST}/t/1", b"one")
    maker.storage.delete(f"{LOST}/t/1")
    maker.storage.upload(f"{LOST}/t/1", b"two")
    for name in ("t/2", "t/3"):
        upload_id = client.create_multipart_upload(Bucket=bucket, Key=f"{LOST}/{name}")["UploadId"]
        client.upload_part(
            Bucket=bucket, Key=f"{LOST}/{name}", UploadId=upload_id, PartNumber=1, Body=b"part"
        )
    none = timedelta(0)
    found = find_orphans(maker.repository, grace=none, now=utc_now() + timedelta(seconds=5))
    assert keys(found.removable) == [f"{LOST}/t/1"]
    assert len(found.removable[0].versions) == 3
    assert len(found.uploads) == 2

    removal = remove(maker, found, utc_now, grace=none)

    assert (removal.objects, removal.uploads) == (1, 2)
    assert list(maker.storage.versions(f"{LOST}/")) == []
    assert list(maker.storage.incomplete_uploads("calibrify/")) == []
    assert {one.key for one in published.manifest.objects} <= stored(maker)
