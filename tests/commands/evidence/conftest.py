"""Two repositories with five records each: directories, and a corner of a bucket."""

from __future__ import annotations

import secrets
import shutil
from typing import TYPE_CHECKING

import pytest

from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.evidencing import EvidenceWorld
from tests.protection import s3_corner
from tests.storage.conftest import Key

if TYPE_CHECKING:
    from pathlib import Path


def directories(folder: Path) -> EvidenceWorld:
    """``local`` is attacked; ``far`` is where nobody gets."""
    return EvidenceWorld(folder, {name: PosixStorage(folder / name) for name in ("local", "far")})


@pytest.fixture(scope="package")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such repositories, of five records each; to be copied."""
    folder = tmp_path_factory.mktemp("recorded")
    directories(folder).record_five()
    return folder


@pytest.fixture
def world(recorded: Path, tmp_path: Path) -> EvidenceWorld:
    """A copy of them, of the same dates."""
    return directories(shutil.copytree(recorded, tmp_path / "copy"))


@pytest.fixture
def remote(tmp_path: Path, request: pytest.FixtureRequest) -> EvidenceWorld:
    """``local`` is in a bucket."""
    corner = s3_corner(request.getfixturevalue("seaweedfs"))
    world = EvidenceWorld(tmp_path, {"local": corner, "far": PosixStorage(tmp_path / "far")})
    world.record_five()
    return world


@pytest.fixture
def versioned(tmp_path: Path, request: pytest.FixtureRequest) -> EvidenceWorld:
    """``local`` is in a bucket that keeps versions."""
    server = request.getfixturevalue("seaweedfs")
    client = s3_client(Key(server.access_key, server.secret_key), endpoint_url=server.endpoint_url)
    bucket = f"evidence-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    world = EvidenceWorld(tmp_path, {"local": S3Storage(client, bucket=bucket)})
    world.record_five()
    return world
