"""A locked backup survives every credential here: that of the server's owner, and that of each role."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backstop.model.access import AccessRole
from backstop.storage.s3 import S3Storage
from tests.access.bucket import RoleBucket
from tests.expiring import TODAY, Signing, World
from tests.locking import DAY, rule

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from backstop.model.backup import BackupLabel
    from backstop.model.object_lock import LockMode
    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = pytest.mark.integration

OWNER = "owner"
WHO = (OWNER, *(role.value for role in AccessRole))
DELETERS = (OWNER, "expirer", "healer")


@pytest.fixture(scope="module")
def clients(seaweedfs: EmbeddedSeaweedFS) -> dict[str, S3Client]:
    """One for each credential that the server knows."""
    anywhere = RoleBucket(seaweedfs, "")
    return {OWNER: anywhere.administrator()} | {role.value: anywhere.client(role) for role in AccessRole}


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
        answer = self.clients[OWNER].get_object(Bucket=self.bucket, Key=key, VersionId=version_id)
        return answer["Body"].read()

    def require_whole(self) -> None:
        """Every version that there was is there, as it was."""
        assert {one: self.read(*one) for one in self.versions} == self.versions


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return Signing.create(tmp_path_factory.mktemp("signing") / "keys")


def back_up(
    seaweedfs: EmbeddedSeaweedFS, clients: dict[str, S3Client], signing: Signing, mode: LockMode
) -> Locked:
    bucket = f"immutable-{uuid.uuid4().hex[:12]}"
    RoleBucket(seaweedfs, bucket, locks=True).create()
    storage = S3Storage(clients[OWNER], bucket=bucket, lock_rule=rule(mode=mode))
    world = World(signing, storage)
    now = datetime.now(timezone.utc)
    label = world.dump((TODAY - now) / timedelta(days=1))
    return Locked(clients, bucket, world, label)


@pytest.fixture(scope="module")
def compliance(seaweedfs: EmbeddedSeaweedFS, clients: dict[str, S3Client], signing: Signing) -> Locked:
    return back_up(seaweedfs, clients, signing, "compliance")


@pytest.fixture
def governance(seaweedfs: EmbeddedSeaweedFS, clients: dict[str, S3Client], signing: Signing) -> Locked:
    return back_up(seaweedfs, clients, signing, "governance")


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


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_would_destroy_a_backup_locked_for_compliance_is_refused(compliance, who, attack):
    with pytest.raises(ClientError):
        ATTACKS[attack](compliance.clients[who], compliance.bucket, *compliance.manifest)

    compliance.require_whole()


@pytest.mark.parametrize("who", DELETERS)
@pytest.mark.parametrize("attack", ["delete the version", "delete many with the bypass header"])
def test_the_same_request_deletes_what_is_not_locked(compliance, who, attack):
    owner, bucket, key = (
        compliance.clients[OWNER],
        compliance.bucket,
        f"calibrify/meta/pins/{uuid.uuid4().hex}",
    )
    put = owner.put_object(Bucket=bucket, Key=key, Body=b"free", ChecksumAlgorithm="CRC32")

    if attack == "delete the version" or who == OWNER:
        ATTACKS[attack](compliance.clients[who], bucket, key, put["VersionId"])
    else:
        refused_within(
            compliance.clients[who].delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key, "VersionId": put["VersionId"]}]}
            )
        )

    assert owner.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []) == []


@pytest.mark.parametrize("who", WHO)
def test_what_is_put_over_a_locked_backup_or_hides_it_leaves_it_below(compliance, who):
    client, bucket = compliance.clients[who], compliance.bucket
    for key, _ in compliance.versions:
        with suppress(ClientError):  # most roles may not even do that
            client.put_object(Bucket=bucket, Key=key, Body=b"gone", ChecksumAlgorithm="CRC32")
        with suppress(ClientError):
            client.delete_object(Bucket=bucket, Key=key)

    compliance.require_whole()

    # What lies over it is not locked, or is a mark: taken away, the backup is there again.
    for one in list(compliance.world.storage.versions("")):
        if (one.key, one.version_id) not in compliance.versions and one.key.startswith("calibrify/"):
            compliance.world.storage.delete_many([(one.key, one.version_id)])
    compliance.world.require_whole()
    assert compliance.world.labels() == {compliance.label}


def test_a_lifecycle_rule_that_would_expire_everything_has_taken_no_locked_version_when_it_is_set(compliance):
    client, bucket = compliance.clients[OWNER], compliance.bucket
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


@pytest.mark.parametrize("who", WHO)
def test_who_may_lock_shortens_no_lock_in_governance_mode_either(governance, who):
    with pytest.raises(ClientError):
        governance.clients[who].put_object_retention(
            Bucket=governance.bucket,
            Key=governance.manifest[0],
            VersionId=governance.manifest[1],
            Retention=shorter() | {"Mode": "GOVERNANCE"},
        )

    key, version = governance.manifest
    assert (
        governance.world.storage.lock(key, version_id=version).until > datetime.now(timezone.utc) + 29 * DAY
    )


def test_governance_gives_way_to_the_right_to_bypass_it_and_to_nothing_else(governance):
    key, version = governance.manifest
    where = {"Bucket": governance.bucket, "Key": key, "VersionId": version}
    for who, bypass in [*((who, False) for who in WHO), *((who, True) for who in WHO if who != OWNER)]:
        with pytest.raises(ClientError):
            governance.clients[who].delete_object(
                **where, **({"BypassGovernanceRetention": True} if bypass else {})
            )
        governance.require_whole()

    governance.clients[OWNER].delete_object(**where, BypassGovernanceRetention=True)

    assert governance.world.labels() == set()
