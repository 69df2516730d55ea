from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from backstop.storage.base import IncompleteUpload
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from tests.storage.conftest import BUCKET

MIB = 1024 * 1024


def begin(client, key, parts=(5 * MIB, 7)):
    upload_id = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    for number, size_bytes in enumerate(parts, start=1):
        client.upload_part(
            Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=number, Body=b"x" * size_bytes
        )
    return upload_id


@pytest.mark.integration
def test_an_upload_that_nobody_finished_is_listed_with_its_bytes_until_it_is_aborted(client):
    prefix = f"t/{uuid.uuid4().hex}"
    storage = S3Storage(client, bucket=BUCKET, prefix=prefix)
    upload_id = begin(client, f"{prefix}/calibrify/data/database/x/1/t/1")
    begin(client, f"{prefix}-another/calibrify/data/database/x/1/t/1", parts=())

    [found] = storage.incomplete_uploads("calibrify/")

    assert (found.key, found.upload_id) == ("calibrify/data/database/x/1/t/1", upload_id)
    assert found.stored_bytes == 5 * MIB + 7
    assert abs(datetime.now(timezone.utc) - found.began_at) < timedelta(minutes=1)
    storage.abort_upload(found)
    storage.abort_upload(found)
    assert list(storage.incomplete_uploads("calibrify/")) == []


@pytest.mark.parametrize("made", [lambda _: MemoryStorage(), PosixStorage])
def test_other_storages_have_none(made, tmp_path):
    storage = made(tmp_path)
    began_at = datetime(2026, 11, 23, tzinfo=timezone.utc)

    assert list(storage.incomplete_uploads("calibrify/")) == []
    storage.abort_upload(IncompleteUpload("calibrify/data/x", "1", began_at, 0))
