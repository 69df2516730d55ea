"""A locked backup survives every credential of the server: its owner's, and a writer's who may delete."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from embedded.seaweedfs import EmbeddedSeaweedFS
from tests.expiring import TODAY, Signing, World
from tests.locking import DAY, rule
from tests.storage.conftest import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from backstop.model.backup import BackupLabel
    from backstop.model.object_lock import LockMode

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("immutability")]

IDENTITIES = {
    "owner": ["Admin", "Read", "Write", "List", "Tagging"],
    "writer": ["Read", "Write", "List", "Tagging"],
}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, S3Client]]:
    """One for each credential that the server knows."""
    folder: Path = tmp_path_factory.mktemp("immutable") / "seaweedfs"
    folder.mkdir()
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": f"{name}-key", "secretKey": uuid.uuid4().hex}],
            "actions": actions,
        }
        for name, actions in IDENTITIES.items()
    ]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    with EmbeddedSeaweedFS(folder, die_with_parent=True) as server:
        yield {
            one["name"]: s3_client(
                Key(one["credentials"][0]["accessKey"], one["credentials"][0]["secretKey"]),
                endpoint_url=server.endpoint_url,
            )
            for one in identities
        }


@dataclass
class Locked:
    """One backup in a bucket of its own, and what of it there was at first."""

    clients: dict[str, S3Client]
    bucket: str
    world: World
    label: BackupLabel
    versions: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.world.storage.versions(f"{self.world.target}/"):
            self.versions[one.key, one.version_id or ""] = self.read(one.key, one.version_id or "")

    @property
    def manifest(self) -> tuple[str, str]:
        key = self.world.catalog.manifest_key(self.label)
        return next(one for one in self.versions if one[0] == key)

    def read(self, key: str, version_id: str) -> bytes:
        answer = self.clients["owner"].get_object(Bucket=self.bucket, Key=key, VersionId=version_id)
        return answer["Body"].read()

    def require_whole(self) -> None:
        """Every version that there was is there, as it was."""
        assert {one: self.read(*one) for one in self.versions} == self.versions


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return Signing.create(tmp_path_factory.mktemp("signing") / "keys")


def back_up(clients: dict[str, S3Client], signing: Signing, mode: LockMode) -> Locked:
    bucket = f"immutable-{uuid.uuid4().hex[:12]}"
    clients["owner"].create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    storage = S3Storage(clients["owner"], bucket=bucket, lock_rule=rule(mode=mode))
    world = World(signing, storage)
    now = datetime.now(timezone.utc)
    label = world.dump((TODAY - now) / timedelta(days=1))
    return Locked(clients, bucket, world, label)


@pytest.fixture(scope="module")
def compliance(clients: dict[str, S3Client], signing: Signing) -> Locked:
    return back_up(clients, signing, "compliance")


@pytest.fixture(scope="module")
def governance(clients: dict[str, S3Client], signing: Signing) -> Locked:
    return back_up(clients, signing, "governance")


def shorter() -> dict[str, Any]:
    return {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(timezone.utc) + timedelta(seconds=30)}


ATTACKS = {
    "delete the version": lambda client, bucket, key, version: client.delete_object(
        Bucket=bucket, Key=key, VersionId=version
    ),
    "delete it with the bypass header": lambda client, bucket, key, version: client.delete_object(
        Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True
    ),
    "delete many with the bypass header": lambda client, bucket, key, version: refused_within(
        client.delete_objects(
            Bucket=bucket,
            Delete={"Objects": [{"Key": key, "VersionId": version}]},
            BypassGovernanceRetention=True,
        )
    ),
    "shorten its retention": lambda client, bucket, key, version: client.put_object_retention(
        Bucket=bucket, Key=key, VersionId=version, Retention=shorter()
    ),
    "shorten its retention with the bypass header": lambda client, bucket, key, version: (
        client.put_object_retention(
            Bucket=bucket,
            Key=key,
            VersionId=version,
            Retention=shorter(),
            BypassGovernanceRetention=True,
        )
    ),
    "make it the weaker kind": lambda client, bucket, key, version: client.put_object_retention(
        Bucket=bucket,
        Key=key,
        VersionId=version,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(timezone.utc) + 90 * DAY},
        BypassGovernanceRetention=True,
    ),
    "delete the bucket": lambda client, bucket, key, version: client.delete_bucket(Bucket=bucket),
    "switch off versions": lambda client, bucket, key, version: client.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    ),
}


def refused_within(answer: Any) -> None:
    """What DeleteObjects answers with 200."""
    if answer.get("Errors"):
        raise ClientError({"Error": {"Code": answer["Errors"][0]["Code"]}}, "DeleteObjects")


@pytest.mark.parametrize("who", IDENTITIES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_would_destroy_a_backup_locked_for_compliance_is_refused(compliance, who, attack):
    with pytest.raises(ClientError):
        ATTACKS[attack](compliance.clients[who], compliance.bucket, *compliance.manifest)

    compliance.require_whole()


@pytest.mark.parametrize("who", IDENTITIES)
@pytest.mark.parametrize("attack", [name for name in ATTACKS if name.startswith("delete")][:3])
def test_the_same_request_deletes_what_is_not_locked(compliance, who, attack):
    client, bucket, key = compliance.clients[who], compliance.bucket, f"other/{uuid.uuid4().hex}"
    put = client.put_object(Bucket=bucket, Key=key, Body=b"free", ChecksumAlgorithm="CRC32")
    asked = client if attack != "delete it with the bypass header" else compliance.clients["owner"]

    ATTACKS[attack](asked, bucket, key, put["VersionId"])

    assert client.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []) == []


@pytest.mark.parametrize("who", IDENTITIES)
def test_what_is_put_over_a_locked_backup_or_hides_it_leaves_it_below(compliance, who):
    client, bucket = compliance.clients[who], compliance.bucket
    for key, _ in compliance.versions:
        client.put_object(
            Bucket=bucket,
            Key=key,
            Body=b"gone",
            ChecksumAlgorithm="CRC32",
        )
        client.delete_object(Bucket=bucket, Key=key)

    compliance.require_whole()

    # What lies over it is not locked, or is a mark: taken away, the backup is there again.
    for one in list(compliance.world.storage.versions("")):
        if (one.key, one.version_id) not in compliance.versions and one.key.startswith("calibrify/"):
            compliance.world.storage.delete_many([(one.key, one.version_id)])
    compliance.world.require_whole()
    assert compliance.world.labels() == {compliance.label}


def test_a_lifecycle_rule_that_would_expire_everything_has_taken_no_locked_version_when_it_is_set(compliance):
    client, bucket = compliance.clients["owner"], compliance.bucket
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "destroy",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "Expiration": {"Days": 1},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                }
            ]
        },
    )
    try:
        compliance.require_whole()
    finally:
        client.delete_bucket_lifecycle(Bucket=bucket)


def test_governance_gives_way_to_the_right_to_bypass_it_and_to_nothing_else(governance):
    owner, writer, bucket = governance.clients["owner"], governance.clients["writer"], governance.bucket
    key, version = governance.manifest
    for client, bypass in ((writer, False), (owner, False), (writer, True)):
        with pytest.raises(ClientError):
            client.delete_object(
                Bucket=bucket,
                Key=key,
                VersionId=version,
                **({"BypassGovernanceRetention": True} if bypass else {}),
            )
        governance.require_whole()

    owner.delete_object(Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True)

    assert governance.world.labels() == set()
