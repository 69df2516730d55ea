"""Real backups and WAL in a bucket with Object Lock: all of them is locked, and none of what goes soon."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.model.backup import BackupLabel
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.locking import DAY, MONTH, rule
from tests.storage.conftest import Key
from tests.trees import ProtectedTree

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = pytest.mark.integration


@pytest.fixture
def storage(seaweedfs: EmbeddedSeaweedFS) -> S3Storage:
    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    bucket = f"locked-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return S3Storage(client, bucket=bucket, prefix="backups", lock_rule=rule())


def test_a_second_backup_of_a_tree_keeps_the_packs_of_the_first_as_long_as_itself(
    tmp_path: Path, storage: S3Storage
):
    tree = ProtectedTree(tmp_path, {"s3": storage}, now=datetime.now(timezone.utc) - 5 * DAY)
    (tree.source / "a").write_bytes(b"unchanged")
    tree.back_up()
    tree.now += 4 * DAY
    (tree.source / "b").write_bytes(b"new")

    report = tree.back_up()

    label, manifest = BackupLabel(report.label), tree.manifest(report, "s3")
    shared = [one for one in manifest.objects if one.origin != label]
    ends = {storage.lock(one.key, version_id=one.version_id).until for one in manifest.objects}
    assert shared
    assert len(ends) == 1
    assert ends.pop() == storage.lock(f"calibrify/meta/manifests/{label}.json").until


def test_of_what_a_backup_leaves_in_a_bucket_only_leases_can_be_deleted(tmp_path: Path, storage: S3Storage):
    tree = ProtectedTree(tmp_path, {"s3": storage})
    (tree.source / "a").write_bytes(b"content")
    tree.back_up()
    there = list(storage.versions(""))

    kept = storage.delete_many([(one.key, one.version_id) for one in there])

    gone = {one.key for one in there} - {one.key for one in kept}
    assert gone
    assert all("/meta/lease/" in key for key in gone)
    now = datetime.now(timezone.utc)
    assert all(now + MONTH < one.lock.until < now + MONTH + 2 * DAY for one in kept)


def test_segments_are_locked_and_the_growing_end_of_wal_is_not(storage: S3Storage):
    timeline = "calibrify/data/wal/7000000000000000001/00000001"
    segment = f"{timeline}/000000010000000000000001-0123456789abcdef"
    tail = timeline.replace("data/wal", "tail")
    delta = f"{tail}/000000010000000000000002/00000000-00000100-0123456789abcdef"
    storage.upload(segment, b"whole")
    storage.put_once(delta, b"delta")

    storage.delete(delta, version_id=storage.stat(delta).version_id)

    assert list(storage.versions(delta)) == []
    assert storage.lock(segment).until - datetime.now(timezone.utc) > MONTH + DAY - timedelta(minutes=1)
