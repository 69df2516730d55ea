"""docker-compose.yaml with an S3 of one's own, as docs/compose.md says: no SeaweedFS beside the rest."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from embedded.proving import wait_for_proofs
from embedded.seaweedfs import EmbeddedSeaweedFS
from tests.compose.deployment import Deployment, engine_obstacle, wait_until
from tests.compose.host_door import host_door
from tests.compose.test_running import PATIENCE, VERIFY, back_up

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.compose, pytest.mark.timeout(3000)]

BUCKET = "our-own-backups"


@dataclass(frozen=True)
class Elsewhere:
    """A deployment, and the S3 that it was told of."""

    deployment: Deployment
    s3: EmbeddedSeaweedFS

    def stored(self) -> set[str]:
        """Of every object that lies there."""
        client = boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.s3.access_key,
            aws_secret_access_key=self.s3.secret_key,
        )
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {found["Key"] for page in pages for found in page.get("Contents", ())}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """Up and healthy, with backups going to a server that is no service of the file."""
    obstacle = engine_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    root = Path(tempfile.mkdtemp(prefix="backstop-compose-"))
    made = Deployment(root / "checkout", "celery")
    made.root.mkdir(mode=0o700)
    try:
        with EmbeddedSeaweedFS(root / "s3", buckets=[BUCKET]) as s3, host_door(s3.port) as url:
            made.prepare(
                BACKSTOP_S3_BUCKET=BUCKET, BACKSTOP_S3_ENDPOINT=url,
                AWS_ACCESS_KEY_ID=s3.access_key, AWS_SECRET_ACCESS_KEY=s3.secret_key,
            )  # fmt: skip
            made.compose("build", timeout=3600)
            made.up()
            yield Elsewhere(made, s3)
            made.destroy()
    finally:
        made.destroy()
        shutil.rmtree(root, ignore_errors=True)


def test_backups_go_to_the_s3_that_was_named_and_are_proven_from_there(elsewhere: Elsewhere) -> None:
    deployment = elsewhere.deployment
    known = deployment.services()

    label = back_up(deployment)
    proofs = wait_for_proofs(deployment.user("admin"), VERIFY, label, {"local", "s3"}, timeout=PATIENCE)

    assert {"seaweedfs", "s3", "bucket"}.isdisjoint(known)
    assert set(proofs) == {"local", "s3"}
    assert f"calibrify/meta/manifests/{label}.json" in elsewhere.stored()


def test_wal_goes_there_too(elsewhere: Elsewhere) -> None:
    segment = elsewhere.deployment.sql("SELECT pg_walfile_name(pg_switch_wal())")

    def has_come() -> bool:
        return any(f"/{segment}-" in key for key in elsewhere.stored())

    wait_until(has_come, 120, f"segment {segment} in the bucket")
