"""Expiry in real buckets: with versions nothing is left that costs money, with locks nothing is forced."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.expiring import World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Key:
    login: str
    password: str = field(repr=False)
    conn_id: str = "tests_s3"
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def client(seaweedfs: EmbeddedSeaweedFS) -> S3Client:
    return s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)


@pytest.fixture
def bucket(client: S3Client) -> str:
    """A new one with Object Lock, and so with versions."""
    name = f"expiring-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def world(signing, client: S3Client, bucket: str) -> World:
    return World(signing, S3Storage(client, bucket=bucket, prefix="a b/ü"))


def expire(world: World):
    plan = plan_expiry(world.repository, settings=world.settings, now=world.now)
    report = carry_out(plan, world.repository, inventory=None, clock=world.clock)
    world.require_whole()
    return report


def everything(client: S3Client, bucket: str) -> list[str]:
    """Every version and mark there is, whatever its prefix."""
    found = client.list_object_versions(Bucket=bucket)
    return [one["Key"] for one in [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]]


def test_in_a_versioned_bucket_the_space_really_is_freed(world, client, bucket):
    old, new = world.dump(30, objects=3), world.dump(1)
    parent = world.base(40)
    world.base(39, parent=parent, start=1)
    base = world.base(1, start=5)
    world.wal(0, 7)
    earlier = world.tree(30, new=3)
    tree = world.tree(1, earlier=world.packs(earlier)[:1])
    key = world.catalog.backup(old).manifest.objects[0].key
    world.storage.delete(key)  # by hand, as a console does: hidden, and still paid for

    report = expire(world)

    assert world.labels() == {new, base, tree}
    world.require_no_garbage()
    left = everything(client, bucket)
    assert not any(label in name for name in left for label in (old.text, parent.text))
    assert len([name for name in left if "/data/wal/" in name]) == 3
    assert report.freed_bytes == {"dump": 60, "incr": 40, "full": 40, "tree": 60, "wal": 15}


def test_a_locked_bucket_is_respected_and_finished_when_the_lock_has_ended(world, client, bucket):
    old, _ = world.dump(30, objects=3), world.dump(1)
    locked, held, _ = (stored.key for stored in world.catalog.backup(old).manifest.objects)
    until = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3)
    where = {"Bucket": bucket, "Key": f"a b/ü/{locked}"}
    client.put_object_retention(**where, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    client.put_object_legal_hold(Bucket=bucket, Key=f"a b/ü/{held}", LegalHold={"Status": "ON"})

    report = expire(world)

    assert {one.key: one.lock.until for one in report.locked[old.text]} == {locked: until, held: None}
    assert report.freed_bytes == {"dump": 20}
    assert world.stored(f"calibrify/data/database/{old}/") == {locked, held}
    assert not any(one.is_marker for one in world.storage.versions("calibrify/"))

    client.put_object_legal_hold(Bucket=bucket, Key=f"a b/ü/{held}", LegalHold={"Status": "OFF"})
    [version] = [one.version_id for one in world.storage.versions(locked)]
    client.delete_object(**where, VersionId=version, BypassGovernanceRetention=True)
    assert expire(world).finished == [old]
    world.require_no_garbage()


def test_a_manifest_that_is_locked_keeps_its_backup_and_the_plan_says_until_when(world, client, bucket):
    old, _ = world.dump(30), world.dump(1)
    until = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3)
    client.put_object_retention(
        Bucket=bucket,
        Key=f"a b/ü/calibrify/meta/manifests/{old}.json",
        Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until},
    )

    plan = plan_expiry(world.repository, settings=world.settings, now=world.now)

    assert plan.labels == ()
    assert plan.locked[old].until == until
    assert expire(world).expired == []
    assert old in world.labels()
