"""Good copies in the place of damaged objects: which copies count, and what a death on the way leaves."""

from __future__ import annotations

import itertools
import random
import secrets
from datetime import timedelta

import pytest

from backstop.commands.database.fetch import fetch_backup
from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.commands.orphans.find import find_orphans
from backstop.commands.progress import Silent
from backstop.errors import LeaseHeldError, StorageError
from backstop.model.retention import RetentionPolicy
from backstop.repository.catalog import Catalog, Repository
from backstop.repository.lock import LEASE_TTL, Lease
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.commands.checking import NOW, CheckWorld, keys_of
from tests.storage.conftest import BUCKET, Key


@pytest.fixture
def world(tmp_path) -> CheckWorld:
    return CheckWorld(tmp_path)


def later():
    """A clock that is past every lease of a run that was killed."""
    return NOW + 2 * LEASE_TTL


def test_a_damaged_object_is_replaced_by_the_copy_of_another_repository(world):
    published = world.publish()
    key = keys_of(published)[0]
    good = world.read(key)
    world.flip(key)

    report = world.check(heal=True)

    assert not report.bad
    assert f"{key} has other content" in "\n".join(report.sentences())
    assert "healed with the copy of far" in "\n".join(report.sentences())
    assert world.read(key) == good
    assert list((world.folder / "staging").iterdir()) == []
    assert not world.check(clock=later).damaged


def test_what_is_healed_at_once_is_as_proven_as_before(world):
    published = world.publish()
    world.local.prove(published, signer=world.verifier)
    world.flip(keys_of(published)[0])

    world.check(heal=True)

    assert world.local.catalog.verifications(published).proven


def test_a_missing_object_is_put_back(world):
    key = keys_of(world.publish())[0]
    good = world.read(key)
    world.path(key).unlink()

    assert not world.check(heal=True).bad
    assert world.read(key) == good


def test_without_being_asked_to_heal_nothing_is_changed(world):
    key = keys_of(world.publish())[0]
    world.flip(key)
    damaged = world.read(key)

    world.check()

    assert world.read(key) == damaged


def test_an_object_that_is_damaged_everywhere_is_left_as_it_is_and_said_to_be(world):
    key = keys_of(world.publish())[0]
    world.flip(key, at=7)
    world.flip(key, "far", at=9)
    damaged = world.read(key)

    report = world.check(heal=True)

    assert report.bad
    assert "not healed: far: its copy has other content" in "\n".join(report.sentences())
    assert world.read(key) == damaged


def test_a_copy_that_another_manifest_names_with_another_hash_is_no_copy(world):
    published = world.publish()
    key = keys_of(published)[0]
    world.flip(key)
    damaged = world.read(key)
    # The same label there, with another object of that name: from another attempt at the backup.
    world.path(f"calibrify/meta/manifests/{published.manifest.label}.json", "far").unlink()
    world.path(key, "far").unlink()
    for other in keys_of(published):
        world.path(other, "far").unlink(missing_ok=True)
    world.far.publish(started_at=published.manifest.started_at, files={"1000.dat": b"other"})

    report = world.check(heal=True)

    assert report.bad
    assert "it has no copy" in "\n".join(report.sentences())
    assert world.read(key) == damaged


def test_an_object_that_reads_well_the_second_time_is_left_alone(world, monkeypatch):
    key = keys_of(world.publish())[0]
    from backstop.commands.check.reread import Reader

    problem, seen = Reader.problem, []

    def slipping(self, wanted, *, into=None):
        if wanted.key == key and not seen:
            seen.append(key)
            return "has other content: a slip in memory"
        return problem(self, wanted, into=into)

    monkeypatch.setattr(Reader, "problem", slipping)
    inode = world.path(key).stat().st_ino

    report = world.check(heal=True)

    assert not report.bad
    assert world.path(key).stat().st_ino == inode


def test_nothing_is_healed_while_expiry_is_at_work(world):
    key = keys_of(world.publish())[0]
    world.flip(key)
    damaged = world.read(key)
    storage = world.local.storage

    with (
        Lease.acquire(storage, "calibrify", "expiry", holder="expiry", clock=lambda: NOW),
        pytest.raises(LeaseHeldError),
    ):
        world.check(heal=True)

    assert world.read(key) == damaged
    # It goes on from there: nothing is read twice.
    assert world.check(heal=True).read_bytes < 5 * len(damaged)
    assert world.read(key) != damaged


@pytest.mark.parametrize("at", [3, -9])
def test_damaged_wal_is_healed_with_a_copy_that_opens(world, at):
    key = world.put_wal(5)
    good = world.read(key)
    world.flip(key, at=at)

    assert not world.check(heal=True).bad
    assert world.read(key) == good


def test_wal_that_another_writer_stored_there_is_a_copy_too(world):
    key = world.put_wal(5, into=("local",))
    assert world.put_wal(5, into=("far",)) == key
    theirs = world.read(key, "far")
    assert world.read(key) != theirs
    world.path(key).write_bytes(world.read(key)[:1000])

    assert not world.check(heal=True).bad
    assert world.read(key) == theirs


def test_wal_that_is_damaged_there_too_is_left_alone(world):
    key = world.put_wal(5)
    world.flip(key, at=500_000)
    world.flip(key, "far", at=600_000)
    damaged = world.read(key)

    assert world.check(heal=True).bad
    assert world.read(key) == damaged


def test_without_a_key_ring_no_wal_is_healed(world):
    key = world.put_wal(5)
    world.path(key).write_bytes(b"")
    assert world.check(heal=True, keyring=None).unjudged == 1
    assert world.read(key) == b""


# -- Killed at every call of the storage ---------------------------------------------------------------------


class Killed(BaseException):
    pass


class Dying(PosixStorage):
    """Dies at one call, before or after it has been carried out."""

    def __init__(self, root):
        super().__init__(root)
        self.calls: list[str] = []
        self.dies_at: int | None = None
        self.after = False
        self.on = False

    def _call(self, name, call):
        if not self.on:
            return call()
        self.calls.append(name)
        dies = self.dies_at == len(self.calls)
        if dies and not self.after:
            raise Killed
        result = call()
        if dies:
            raise Killed
        return result

    def put_once(self, key, data):
        return self._call("put_once", lambda: super(Dying, self).put_once(key, data))

    def upload(self, key, source):
        return self._call("upload", lambda: super(Dying, self).upload(key, source))

    def delete(self, key, *, version_id=None):
        return self._call("delete", lambda: super(Dying, self).delete(key))

    def open(self, key, *, version_id=None):
        return self._call("open", lambda: super(Dying, self).open(key))

    def stat(self, key):
        return self._call("stat", lambda: super(Dying, self).stat(key))


def heal_in_dying(world, storage, clock=lambda: NOW):
    catalog = Catalog(storage, "calibrify", trust=world.local.trust)
    return world.check(heal=True, repository=Repository("local", storage, catalog), clock=clock, jobs=1)


@pytest.mark.parametrize("kind", ["object", "wal"])
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_the_next_check_heals_and_nothing_good_is_ever_lost(
    world, kind, after, monkeypatch
):
    key = keys_of(world.publish(objects=1))[0] if kind == "object" else world.put_wal(5)
    good = world.read(key)
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    from backstop.commands.check import check

    healing = check.Healer.heal
    states = set()
    for dies_at in itertools.count(1):
        world.path(key).unlink(missing_ok=True)
        world.path(key).write_bytes(bad)
        storage = Dying(world.folder / "local")
        storage.dies_at, storage.after = dies_at, after

        def heal(self, *arguments, storage=storage):
            storage.on = True
            return healing(self, *arguments)

        monkeypatch.setattr(check.Healer, "heal", heal)
        clock_at = NOW + dies_at * timedelta(hours=1)
        try:
            heal_in_dying(world, storage, clock=lambda at=clock_at: at)
            survived = True
        except Killed:
            survived = False
        monkeypatch.setattr(check.Healer, "heal", healing)
        found = world.path(key).read_bytes() if world.path(key).exists() else None
        assert found in (None, good, bytes(bad))
        assert world.read(key, "far") == good
        states.add("missing" if found is None else "good" if found == good else "bad")
        if survived:
            assert found == good
            break

        report = world.check(heal=True, clock=lambda at=clock_at: at + timedelta(minutes=30))

        assert not report.bad
        assert world.read(key) == good
    assert dies_at > 5
    assert states == {"missing", "good", "bad"}


# -- Buckets with versions -----------------------------------------------------------------------------------


@pytest.fixture
def versioned(seaweedfs, tmp_path):
    """``local`` in a bucket that keeps versions; its client and bucket, too."""
    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    bucket = f"versions-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return CheckWorld(tmp_path, {"local": S3Storage(client, bucket=bucket)}), client, bucket


def versions(client, bucket, key):
    answer = client.list_object_versions(Bucket=bucket, Prefix=key)
    return [one["VersionId"] for one in answer.get("Versions", []) if one["Key"] == key]


@pytest.mark.integration
def test_a_version_that_is_gone_is_healed_and_the_backup_can_be_restored_again(versioned, tmp_path):
    world, client, bucket = versioned
    published = world.publish(sealed=True)
    stored = published.manifest.objects[0]
    assert stored.version_id is not None
    client.delete_object(Bucket=bucket, Key=stored.key, VersionId=stored.version_id)
    assert world.check().bad

    assert not world.check(heal=True, clock=later).bad

    assert not world.check(clock=lambda: NOW + timedelta(hours=1)).damaged
    assert stored.version_id not in versions(client, bucket, stored.key)
    fetch_backup(
        world.local.repository,
        published.manifest,
        keyring=world.keyring,
        destination=tmp_path / "fetched",
        jobs=1,
        progress=Silent(),
    )
    assert (tmp_path / "fetched" / "1000.dat").read_bytes() == random.Random(0).randbytes(3000)


@pytest.mark.integration
def test_what_was_deleted_or_overwritten_is_whole_in_its_version_and_made_current_again(versioned):
    world, client, bucket = versioned
    published = world.publish()
    world.local.prove(published, signer=world.verifier)
    first, second = published.manifest.objects[:2]
    client.delete_object(Bucket=bucket, Key=first.key)
    client.put_object(Bucket=bucket, Key=second.key, Body=b"somebody else's")

    report = world.check()

    assert {one.key for one in report.damaged} == {first.key, second.key}
    assert "can be restored until the bucket removes it" in "\n".join(report.sentences())
    assert world.local.catalog.verifications(published).proven

    assert not world.check(heal=True, clock=later).bad

    assert world.read(first.key) == world.read(first.key, "far")
    assert len(versions(client, bucket, second.key)) == 3
    # The bucket's own rule may remove them now.
    for stored in (first, second):
        client.delete_object(Bucket=bucket, Key=stored.key, VersionId=stored.version_id)
    assert not world.check(clock=lambda: NOW + timedelta(hours=1)).damaged


def test_what_was_healed_goes_with_its_backup_and_leaves_nothing_over(tmp_path):
    world = CheckWorld(tmp_path, {"local": MemoryStorage(clock=lambda: NOW, versioned=True)})
    old, new = world.publish(0), world.publish(5)
    for one in (old, new):
        world.local.prove(one, signer=world.verifier)
    storage = world.local.storage
    storage.delete(keys_of(old)[0], version_id=old.manifest.objects[0].version_id)
    storage.delete(keys_of(old)[1])
    assert not world.check(heal=True).bad
    settings = ExpirySettings(policies=lambda _: RetentionPolicy(keep_last=1, min_proven=1))

    plan = plan_expiry(world.local.repository, settings=settings, now=NOW)
    carry_out(plan, world.local.repository, inventory=None, clock=lambda: NOW)

    assert {one.manifest.label for one in world.local.catalog.backups().backups} == {new.manifest.label}
    left = {version.key for version in storage.versions("calibrify/data/")}
    assert left == set(keys_of(new))
    assert not find_orphans(world.local.repository, grace=timedelta(0), now=NOW).removable


@pytest.mark.integration
def test_in_a_bucket_without_versions_damage_is_healed_too(seaweedfs, tmp_path):
    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    prefix = f"t/{secrets.token_hex(6)}"
    world = CheckWorld(tmp_path, {"local": S3Storage(client, bucket=BUCKET, prefix=prefix)})
    first, second = world.publish().manifest.objects[:2]
    wal = world.put_wal(5)
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/{first.key}", Body=b"rotten")
    client.delete_object(Bucket=BUCKET, Key=f"{prefix}/{second.key}")
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/{wal}", Body=world.read(wal)[:-1])

    report = world.check(heal=True)

    assert {one.key for one in report.damaged} == {first.key, second.key, wal}
    assert not report.bad
    assert all(world.read(key) == world.read(key, "far") for key in (first.key, second.key, wal))


@pytest.mark.integration
def test_what_lies_over_a_lost_version_is_hidden_and_not_destroyed(versioned):
    world, client, bucket = versioned
    stored = world.publish().manifest.objects[0]
    client.put_object(Bucket=bucket, Key=stored.key, Body=b"somebody else's")
    [theirs] = [one for one in versions(client, bucket, stored.key) if one != stored.version_id]
    client.delete_object(Bucket=bucket, Key=stored.key, VersionId=stored.version_id)

    assert not world.check(heal=True).bad

    assert theirs in versions(client, bucket, stored.key)
    assert world.read(stored.key) == world.read(stored.key, "far")


@pytest.mark.integration
def test_a_refusal_to_delete_leaves_everything_as_it_was(versioned, monkeypatch):
    world, client, bucket = versioned
    stored = world.publish().manifest.objects[0]

    def locked(self, key, *, version_id=None):
        raise StorageError(f"{key}: delete failed: it is locked")

    damaged = b"\0" * stored.stored_bytes
    monkeypatch.setattr(S3Storage, "delete", locked)
    read = S3Storage.open

    def rotten(self, key, *, version_id=None):
        import io

        return io.BytesIO(damaged) if key == stored.key else read(self, key, version_id=version_id)

    monkeypatch.setattr(S3Storage, "open", rotten)

    report = world.check(heal=True)

    assert report.bad
    assert "not healed: " in "\n".join(report.sentences())
    assert "it is locked" in "\n".join(report.sentences())
    assert versions(client, bucket, stored.key) == [stored.version_id]
