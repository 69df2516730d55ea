"""Attacks with valid stolen credentials: what can be restored never becomes less, and each is noticed."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.errors import BackstopError, LeaseHeldError
from backstop.model.access import AccessRole
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.retention import RetentionPolicy
from backstop.repository.holds import Holds
from backstop.repository.lock import Lease
from tests.attacks.thief import DeniedError, Thief, document, restorable, versions_of_truth
from tests.observing import World
from tests.syncing import TARGET, put

DAYS = 5


@pytest.fixture
def world(tmp_path):
    """Five days of proven dumps and their WAL, in a directory and in a bucket with versions."""
    world = World(tmp_path)
    for storage in world.storages.values():
        storage._versioned = True
        mark, info = storage._objects["repository.json"]
        storage._objects["repository.json"] = (mark, replace(info, version_id="00000000"))
    for day in range(DAYS):
        world.dump(day)
    world.at(DAYS - 1, 2)
    assert world.watch().findings == ()
    return world


@pytest.fixture
def newest(world):
    return max(restorable(world), key=str)


@pytest.fixture
def known(world):
    storage = world.storages["s3"]
    return {info.key: storage.read(info.key) for info in storage.list("")}


@pytest.fixture
def nothing_is_lost(world, known):
    """Whatever is done in between: what was restorable is, and the bucket still has every true byte."""
    before = restorable(world)
    assert len(before) == DAYS
    yield
    assert restorable(world) >= before
    assert versions_of_truth(world, known) == set(known)


def manifest_of(world, label):
    return world.makers["s3"].catalog.backup(label).manifest


@pytest.mark.usefixtures("nothing_is_lost")
class TestWriter:
    """Whoever took over a machine that backs up: bucket, key ring, and the key that signs manifests."""

    @pytest.fixture
    def thief(self, world):
        return Thief(world, AccessRole.WRITER)

    def test_overwritten_payload_is_there_as_the_version_that_its_manifest_names(self, world, thief, newest):
        thief.put(world.objects_of(newest)[0], b"garbage")

        assert world.found("sync") != []

    def test_a_forged_manifest_in_the_place_of_a_true_one(self, world, thief, newest):
        true = manifest_of(world, newest)
        garbage = put(world.storages["s3"], newest, secrets.token_hex(8), 0, b"garbage")
        thief.forge(true, objects=(garbage,))

        assert "critical tampering overwritten in s3" in world.found()

    def test_an_older_manifest_under_a_newer_name(self, world, thief, newest):
        oldest = min(restorable(world), key=str)
        thief.put(world.manifest_key(newest), thief.read(world.manifest_key(oldest)))

        assert "critical tampering overwritten in s3" in world.found()

    def test_a_new_backup_of_garbage_is_never_proven_and_missed_as_that(self, world, thief, newest):
        forged = BackupLabel.at(world.at(DAYS, 1), BackupKind.DUMP)
        garbage = put(world.storages["s3"], forged, secrets.token_hex(8), 0, b"garbage")
        true = manifest_of(world, newest)
        thief.forge(
            true, label=forged, objects=(garbage,), started_at=world.now, snapshot_at=world.now,
            finished_at=world.now + timedelta(minutes=10),
        )  # fmt: skip

        world.at(DAYS + 1, 3)
        assert any(" proven " in one for one in world.found())

    def test_a_flood_of_garbage_pushes_out_nothing_that_is_proven(self, world, thief, newest):
        true, before = manifest_of(world, newest), restorable(world)
        world.at(DAYS - 1, 3)
        for minute in range(60):
            at = world.now + timedelta(minutes=minute)
            label = BackupLabel.at(at, BackupKind.DUMP)
            garbage = put(world.storages["s3"], label, secrets.token_hex(8), 0, b"garbage")
            thief.forge(true, label=label, objects=(garbage,), started_at=at, snapshot_at=at, finished_at=at)
        world.at(DAYS - 1, 5)
        policy = RetentionPolicy(keep_last=DAYS, min_proven=DAYS)
        settings = ExpirySettings(policies=lambda _: policy, holder="test")

        plan = plan_expiry(world.target_repository("s3"), settings=settings, now=world.now)

        assert not set(plan.labels) & before

    def test_a_backup_from_the_far_future_lets_none_of_the_past_go(self, world, thief, newest):
        true, before = manifest_of(world, newest), restorable(world)
        later = world.now + timedelta(days=3650)
        label = BackupLabel.at(later, BackupKind.DUMP)
        garbage = put(world.storages["s3"], label, secrets.token_hex(8), 0, b"garbage")
        thief.forge(
            true, label=label, objects=(garbage,), started_at=later, snapshot_at=later, finished_at=later
        )
        policy = RetentionPolicy(keep_for=timedelta(days=30), min_proven=1)
        settings = ExpirySettings(policies=lambda _: policy, holder="test")

        with contextlib.suppress(BackstopError):  # refused altogether is as well
            plan = plan_expiry(world.target_repository("s3"), settings=settings, now=later)
            assert not set(plan.labels) & before

    def test_a_lease_that_never_ends_stops_backups_which_is_said(self, world, thief):
        ends = world.now + timedelta(days=3650)
        lease = {"holder": "thief", "host": "x", "pid": 1, "id": "0" * 32, "released": False}
        thief.put(
            f"{TARGET}/meta/lease/dump/000000000999-000000.json",
            canonical_json({**lease, "expires_at": ends.isoformat().replace("+00:00", "Z")}),
        )

        with pytest.raises((LeaseHeldError, BackstopError), match="lease"):
            Lease.acquire(world.storages["s3"], TARGET, "dump", holder="us", clock=lambda: world.now)
        world.at(DAYS + 1, 3)
        assert any(" completed " in one for one in world.found())

    def test_the_mark_of_the_repository_overwritten_makes_it_no_repository_of_ours(self, world, thief):
        thief.put("repository.json", document(format=1, id="0" * 16))

        assert any("critical" in one for one in world.found())

    def test_a_second_content_of_a_wal_segment_is_a_conflict_and_neither_is_taken(self, world, thief):
        from backstop.repository.wal_archive import WalArchive
        from tests.syncing import SEGMENT_BYTES, SYSTEM_ID

        (key,) = world.wal([7])
        thief.put(f"{key[:-16]}{'0' * 16}", b"other")

        archive = WalArchive(world.storages["s3"], TARGET, SYSTEM_ID)
        with pytest.raises(BackstopError, match="two"):
            archive.find(_segment(7, SEGMENT_BYTES))
        archive = WalArchive(world.storages["local"], TARGET, SYSTEM_ID)
        assert archive.find(_segment(7, SEGMENT_BYTES)) is not None

    @pytest.mark.parametrize("folder", ["proofs", "holds", "evidence", "accepted", "expiring"])
    def test_what_others_say_of_backups_is_not_the_writers_to_put(self, thief, newest, folder):
        with pytest.raises(DeniedError):
            thief.put(f"{TARGET}/meta/{folder}/{newest}/1.json", b"{}")

    def test_nothing_can_be_read_marked_as_deleted_or_destroyed(self, world, thief, newest):
        for key in (*world.objects_of(newest), world.manifest_key(newest)):
            for attack in (thief.mark_deleted, thief.destroy):
                with pytest.raises(DeniedError):
                    attack(key)
        with pytest.raises(DeniedError):
            thief.read(world.objects_of(newest)[0])


@pytest.mark.usefixtures("nothing_is_lost")
class TestOthers:
    """Those who read, look, or prove."""

    def test_a_proof_signed_with_the_writers_key_proves_nothing(self, world, newest):
        thief = Thief(world, AccessRole.SYNC)
        published = world.makers["s3"].catalog.backup(newest)
        unproven = world.dump(DAYS, proven=False)
        (proof,) = world.makers["s3"].catalog.proofs(published)
        forged = world.signer.sign(
            replace(
                proof,
                label=unproven,
                manifest_sha256=world.makers["s3"].catalog.backup(unproven).sha256,
                signature=None,
            )
        )
        key = f"{TARGET}/meta/proofs/{unproven}/20260110T020000Z-{proof.repository_id}.json"
        thief.put(key, canonical_json(forged.to_dict()))

        found = world.target_repository("s3").catalog.verifications(
            world.makers["s3"].catalog.backup(unproven)
        )
        assert not found.proven
        assert found.unreadable

    @pytest.mark.parametrize("role", [AccessRole.RESTORER, AccessRole.VERIFIER, AccessRole.AUDITOR])
    def test_who_reads_can_neither_overwrite_nor_delete_what_was_backed_up(self, world, newest, role):
        thief = Thief(world, role)
        for key in (*world.objects_of(newest), world.manifest_key(newest), "repository.json"):
            for attack in (lambda key: thief.put(key, b"x"), thief.mark_deleted, thief.destroy):
                with pytest.raises(DeniedError):
                    attack(key)

    def test_delete_markers_hide_backups_and_are_told_of(self, world, newest):
        thief = Thief(world, AccessRole.EXPIRER)
        thief.mark_deleted(world.manifest_key(newest))

        assert "critical tampering deleted in s3" in world.found()

    def test_the_expirer_reads_no_payload(self, world, newest):
        with pytest.raises(DeniedError):
            Thief(world, AccessRole.EXPIRER).read(world.objects_of(newest)[0])


def test_whoever_may_delete_destroys_one_repository_which_is_told_of_and_the_other_has_all(world, newest):
    before = restorable(world)
    thief = Thief(world, AccessRole.EXPIRER)
    for info in list(world.storages["s3"].list(f"{TARGET}/")):
        thief.destroy(info.key)

    assert restorable(world) == before
    assert world.found() == ["warning sync backups in s3"]


def test_a_healer_who_replaces_payload_is_told_of_and_the_other_repository_has_all(world, newest):
    before = restorable(world)
    thief = Thief(world, AccessRole.HEALER)
    for key in world.objects_of(newest):
        thief.destroy(key)
        thief.put(key, b"garbage")

    assert restorable(world) == before
    assert world.found("sync") != []


def test_whoever_prepares_a_bucket_touches_nothing_in_it(world, newest):
    thief = Thief(world, AccessRole.PREPARER)
    for key in (*world.objects_of(newest), world.manifest_key(newest), "repository.json"):
        for attack in (lambda key: thief.put(key, b"x"), thief.read, thief.mark_deleted, thief.destroy):
            with pytest.raises(DeniedError):
                attack(key)


def test_a_release_signed_with_the_writers_key_releases_no_hold(world, newest):
    holds = Holds(world.target_repository("s3"))
    held = holds.place(newest, reason="an audit", who="auditor", until=None, now=world.now)
    with contextlib.suppress(BackstopError):
        holds.release(newest, held.number, who="thief", now=world.now, signer=world.signer)

    assert newest in Holds(world.target_repository("s3")).in_force(world.now + timedelta(hours=1))


def test_what_is_locked_survives_whoever_may_delete(world, known):
    storage = world.storages["s3"]
    for key in known:
        storage.lock_object(key, until=world.now + timedelta(days=30))
    thief = Thief(world, AccessRole.EXPIRER)
    for key in known:
        if key.startswith(TARGET):
            with pytest.raises(DeniedError, match="locked"):
                thief.destroy(key)

    assert versions_of_truth(world, known) == set(known)


def _segment(number, size_bytes):
    from backstop.model.lsn import WalSegment

    return WalSegment(1, number, size_bytes)


def test_hashes_are_those_of_what_is_stored(world, newest):
    """Else nothing above would be seen: the measure itself tells a changed byte."""
    label = min(restorable(world), key=str)
    for name in world.names:
        storage, (key, *_) = world.storages[name], world.objects_of(label, name)
        data, info = storage._objects[key]
        storage._objects[key] = (bytes([data[0] ^ 1]) + data[1:], info)

    assert label not in restorable(world)
    assert sha256_hex(b"") != sha256_hex(b"\0")


@pytest.mark.parametrize("folder", ["manifests", "proofs"])
def test_a_giant_document_hides_no_other(world, newest, folder):
    """Whoever may put may put 64 MiB and more."""
    before = restorable(world)
    role = AccessRole.WRITER if folder == "manifests" else AccessRole.VERIFIER
    label = BackupLabel.at(world.at(DAYS, 1), BackupKind.DUMP)
    name = f"{label}.json" if folder == "manifests" else f"{newest}/20260110T020000Z-0000000000000000.json"
    Thief(world, role).put(f"{TARGET}/meta/{folder}/{name}", b"x" * (65 * 1024 * 1024))

    world.storages.pop("local")
    world.names = ("s3",)
    catalog = world.target_repository("s3").catalog
    if folder == "manifests":
        assert restorable(world) == before
        assert [one.label for one in catalog.backups().unreadable] == [label]
    else:  # a verification that nobody can read may have found a difference: that one backup is in doubt
        assert restorable(world) == before - {newest}
        assert catalog.verifications(catalog.backup(newest)).unreadable
