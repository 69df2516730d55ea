"""S3 that misbehaves on demand."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from backstop.storage.s3_retry import Patience
from tests.faults.planting import SmallDisk
from tests.faults.s3_proxy import FaultyS3Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from embedded.seaweedfs import EmbeddedSeaweedFS

BUCKET = "backstop-tests"


@dataclass(frozen=True)
class Key:
    """An access key as credentials.Credential carries it."""

    login: str | None
    password: str | None = field(repr=False)
    conn_id: str = "tests_s3"
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def proxy(seaweedfs: EmbeddedSeaweedFS) -> Iterator[FaultyS3Proxy]:
    with FaultyS3Proxy(seaweedfs.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def corner() -> str:
    """A prefix of the bucket that nobody else uses."""
    return f"faults/{uuid.uuid4().hex}"


@pytest.fixture
def impatient() -> Patience:
    """As many attempts as in production, without its pauses."""
    return Patience(first_pause_seconds=0.01, longest_pause_seconds=0.05)


@pytest.fixture
def broken_client(proxy: FaultyS3Proxy, seaweedfs: EmbeddedSeaweedFS) -> S3Client:
    """A client that goes through the proxy, and takes a second's silence for a stall."""
    return s3_client(
        Key(seaweedfs.access_key, seaweedfs.secret_key),
        endpoint_url=proxy.endpoint_url,
        connect_timeout=1,
        read_timeout=1,
    )


@pytest.fixture
def storage(broken_client: S3Client, corner: str, impatient: Patience) -> S3Storage:
    """Parts of 5 MiB, two at a time."""
    return S3Storage(
        broken_client,
        bucket=BUCKET,
        prefix=corner,
        patience=impatient,
        part_bytes=5 * 1024**2,
        part_threads=2,
    )


@pytest.fixture(scope="session")
def direct_client(seaweedfs: EmbeddedSeaweedFS) -> S3Client:
    """Past the proxy, to see what is really there."""
    return s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)


@pytest.fixture
def truth(direct_client: S3Client, corner: str) -> S3Storage:
    """The same objects, seen past the proxy."""
    return S3Storage(direct_client, bucket=BUCKET, prefix=corner)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a scratch server's socket lies in it, and open to that server's user."""
    path = Path(tempfile.mkdtemp(prefix="backstop-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Two megabytes, until it is resized."""
    disk = SmallDisk(folder / "disk")
    disk.path.mkdir()
    try:
        disk.mount(2 * 1024 * 1024)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small tmpfs (root)")
    yield disk
    disk.unmount()
