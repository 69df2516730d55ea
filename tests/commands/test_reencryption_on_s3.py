"""Encrypted anew in a real bucket with versions: the old goes for good, and what is left needs no old key."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.crypto.header import wrapping_keys
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.commands.test_reencryption import Compromised
from tests.making import STARTED

if TYPE_CHECKING:
    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Key:
    login: str
    password: str = field(repr=False)
    conn_id: str = "tests_s3"
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def compromised(seaweedfs: EmbeddedSeaweedFS, tmp_path):
    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    bucket = f"anew-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)  # and so with versions
    return Compromised(tmp_path, S3Storage(client, bucket=bucket, prefix="a b/ü"))


def test_no_version_is_left_that_the_compromised_key_opens(compromised):
    contents = {}
    for number in range(2):
        content = os.urandom(50_000)
        made = compromised.maker.publish(
            started_at=STARTED + timedelta(days=number), files={"public.equipment": content}
        )
        contents[made.manifest.label] = content
    compromised.rotate()
    report = compromised.reencrypt()
    assert report.complete, report.to_dict()

    for label in report.successors.values():
        compromised.maker.prove(compromised.maker.catalog.backup(label), signer=compromised.proofs)
    carry_out(compromised.plan(), compromised.maker.repository, inventory=None, clock=compromised.clock)

    assert compromised.labels() == [report.successors[label] for label in contents]
    versions = list(compromised.storage.versions("calibrify/data/"))
    assert versions
    for version in versions:
        with compromised.storage.open(version.key, version_id=version.version_id) as source:
            assert compromised.key not in wrapping_keys(source, name=version.key)
    for number, (old, content) in enumerate(contents.items()):
        found = compromised.content(report.successors[old], compromised.without_the_key, f"{number}")
        assert found["public.equipment"] == content
