"""What is put is locked, locks grow and never shrink: in memory and in a real bucket."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from backstop.errors import ConfigurationError, ObjectMissingError, StorageError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from tests.locking import DAY, MONTH, rule
from tests.storage.conftest import BUCKET

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from backstop.storage.base import Storage

MIB = 1024 * 1024
BEGAN = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=5)
LABEL = BackupLabel.at(BEGAN, BackupKind.DUMP)
PAYLOAD = f"calibrify/data/database/{LABEL}/0123456789abcdef/t/0"
MANIFEST = f"calibrify/meta/manifests/{LABEL}.json"
ENDS = BEGAN + MONTH + DAY


@pytest.fixture(scope="module")
def bucket(client: S3Client) -> str:
    name = f"locking-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.integration)])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return MemoryStorage(versioned=True, lock_rule=rule())
    return S3Storage(
        request.getfixturevalue("client"),
        bucket=request.getfixturevalue("bucket"),
        prefix=uuid.uuid4().hex,
        part_bytes=5 * MIB,
        lock_rule=rule(),
    )


@pytest.mark.parametrize(
    "key",
    [MANIFEST, f"calibrify/meta/proofs/{LABEL}/20261124T010000Z-0123456789abcdef.json"],
    ids=["manifest", "proof"],
)
def test_documents_are_locked_from_their_first_moment(storage, key):
    storage.put_once(key, b"{}")

    assert storage.lock(key).until == ENDS


@pytest.mark.parametrize("size", [1, 6 * MIB])
def test_payload_is_locked_in_one_piece_or_in_parts(storage, tmp_path, size):
    staged = tmp_path / "staged"
    staged.write_bytes(b"x" * size)

    storage.upload(PAYLOAD, staged)

    assert storage.lock(PAYLOAD).until == ENDS
    [kept] = storage.delete_many([(one.key, one.version_id) for one in storage.versions(PAYLOAD)])
    assert kept.key == PAYLOAD


def test_what_goes_soon_is_not_locked_and_can_be_deleted(storage):
    key = f"calibrify/meta/pins/{LABEL}/a-1.json"
    storage.put_once(key, b"{}")
    storage.upload("calibrify/tail/1/00000001/x/00000000-00000100-0123456789abcdef", b"delta")

    assert storage.delete_many([(one.key, one.version_id) for one in storage.versions("")]) == ()


def test_a_lock_is_extended_and_never_shortened(storage):
    info = storage.put_once(MANIFEST, b"{}")

    storage.extend_lock(MANIFEST, until=ENDS + DAY, version_id=info.version_id)
    assert storage.lock(MANIFEST).until == ENDS + DAY
    storage.extend_lock(MANIFEST, until=ENDS - 10 * DAY)
    assert storage.lock(MANIFEST).until == ENDS + DAY


def test_what_was_not_locked_can_be_and_what_is_absent_cannot(storage):
    key = "calibrify/meta/checks/a.json"
    storage.put_once(key, b"{}")

    storage.extend_lock(key, until=ENDS)

    assert storage.lock(key).until == ENDS
    with pytest.raises(ObjectMissingError):
        storage.extend_lock("calibrify/meta/checks/b.json", until=ENDS)


def test_where_nothing_is_locked_nothing_is_extended(tmp_path: Path):
    for storage in (MemoryStorage(), PosixStorage(tmp_path)):
        storage.put_once(MANIFEST, b"{}")
        storage.extend_lock(MANIFEST, until=ENDS)

        assert storage.lock_rule is None
        assert storage.lock(MANIFEST) is None


@pytest.mark.integration
@pytest.mark.parametrize("act", ["put_once", "upload", "probe"])
def test_a_bucket_without_object_lock_is_refused_before_anything_is_written(client, act):
    prefix = uuid.uuid4().hex
    storage = S3Storage(client, bucket=BUCKET, prefix=prefix, lock_rule=rule())
    acts = {
        "put_once": lambda: storage.put_once("calibrify/meta/lease/dump/00000001-00000000.json", b"{}"),
        "upload": lambda: storage.upload(PAYLOAD, b"payload"),
        "probe": lambda: storage.probe("calibrify/data/probe"),
    }

    with pytest.raises(ConfigurationError, match=f"bucket {BUCKET} has no Object Lock") as refused:
        acts[act]()

    assert "enable Object Lock on a bucket with versions" in refused.value.hint
    assert client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] == 0
    assert list(storage.incomplete_uploads("")) == []


class MayNotAsk:
    """A client whose role may not look at the bucket's configuration."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self.asked = 0

    def get_object_lock_configuration(self, **given: str) -> None:
        self.asked += 1
        answer = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, "GetObjectLockConfiguration")

    def __getattr__(self, name: str):
        return getattr(self._client, name)


@pytest.mark.integration
def test_a_role_that_may_not_ask_whether_a_bucket_locks_is_refused_by_the_bucket_itself(client, bucket):
    prefix, asking = uuid.uuid4().hex, MayNotAsk(client)
    unlocking = S3Storage(asking, bucket=BUCKET, prefix=prefix, lock_rule=rule())

    with pytest.raises(StorageError):
        unlocking.put_once(MANIFEST, b"{}")

    assert client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] == 0

    locking = S3Storage(asking, bucket=bucket, prefix=prefix, lock_rule=rule())
    for number in range(3):
        key = f"calibrify/meta/holds/{LABEL}/{number}.json"
        locking.put_once(key, b"{}")
        assert locking.lock(key).until == ENDS
    assert asking.asked == 2, "once for each bucket"
