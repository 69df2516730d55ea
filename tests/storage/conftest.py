"""Every storage there is, empty, for the contract."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from backstop.storage.base import Storage
    from embedded.seaweedfs import EmbeddedSeaweedFS

BUCKET = "backstop-tests"


@dataclass(frozen=True)
class Key:
    """An access key as credentials.Credential carries it."""

    login: str | None
    password: str | None = field(repr=False)
    conn_id: str = "tests_s3"
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="session")
def client(seaweedfs: EmbeddedSeaweedFS) -> S3Client:
    return s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)


@pytest.fixture
def s3(client: S3Client) -> S3Storage:
    """An empty corner of the bucket; parts of 5 MiB, so that tests reach several soon."""
    return S3Storage(client, bucket=BUCKET, prefix=f"t/{uuid.uuid4().hex}", part_bytes=5 * 1024**2)


@pytest.fixture(params=["memory", "posix", pytest.param("s3", marks=pytest.mark.integration)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "memory":
        return MemoryStorage()
    if request.param == "posix":
        return PosixStorage(tmp_path / "repository")
    return request.getfixturevalue("s3")
