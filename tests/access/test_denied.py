"""What each role may not do: asked of a real server, with that role's own credentials, request by request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backstop.model.access import AccessRole
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_errors import ForbiddenError
from tests.access.bucket import RoleBucket

pytestmark = pytest.mark.integration

PAYLOAD = "calibrify/data/database/20261123T010000Z-dump/a1/t/1"
LIST = "calibrify/data/trees/media/20261123T020000Z-tree-media/a1/packs/l1"
MANIFEST = "calibrify/meta/manifests/20261123T010000Z-dump.json"
PROOF = "calibrify/meta/proofs/20261123T010000Z-dump/20261123T020000Z-0123.json"
EVIDENCE = "calibrify/meta/evidence/00000001.json"
FOREIGN = "another-product/secret"
DESCRIPTION = "repository.json"
OBJECTS = (PAYLOAD, LIST, MANIFEST, PROOF, EVIDENCE, FOREIGN, DESCRIPTION)

READERS = {AccessRole.SYNC, AccessRole.RESTORER, AccessRole.VERIFIER, AccessRole.HEALER}
DELETERS = {AccessRole.EXPIRER, AccessRole.HEALER}
EVERYBODY = set(AccessRole)


@dataclass(frozen=True)
class Request:
    """One request on one object. :param allowed: whose credentials it is granted to."""

    name: str
    key: str
    allowed: frozenset[AccessRole]

    def send(self, client: Any, bucket: str) -> None:
        where = {"Bucket": bucket, "Key": self.key}
        match self.name:
            case "get":
                client.get_object(**where)
            case "put":
                client.put_object(**where, Body=b"forged")
            case "multipart":
                upload = client.create_multipart_upload(**where)["UploadId"]
                client.abort_multipart_upload(**where, UploadId=upload)
            case "delete":
                client.delete_object(**where)
            case "delete version":
                client.delete_object(**where, VersionId="0" * 32)
            case "policy":
                client.delete_bucket_policy(Bucket=bucket)
            case "versioning":
                client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
            case "delete bucket":
                client.delete_bucket(Bucket=bucket)


def requests() -> list[Request]:
    writers, none = {AccessRole.WRITER, AccessRole.SYNC, AccessRole.HEALER}, set()
    wanted = [
        ("get", PAYLOAD, READERS),
        ("get", LIST, {*READERS, AccessRole.WRITER}),
        ("get", MANIFEST, EVERYBODY - {AccessRole.PREPARER}),
        ("get", FOREIGN, none),
        ("put", PAYLOAD, writers),
        ("put", MANIFEST, {*writers, AccessRole.EXPIRER}),
        ("put", PROOF, {AccessRole.VERIFIER, AccessRole.SYNC}),
        ("put", EVIDENCE, {AccessRole.VERIFIER, AccessRole.SYNC}),
        ("put", FOREIGN, none),
        ("multipart", PAYLOAD, writers),
        ("delete", PAYLOAD, DELETERS),
        ("delete", EVIDENCE, none),
        ("delete version", PAYLOAD, DELETERS),
        ("delete version", EVIDENCE, none),
        ("delete", FOREIGN, none),
        ("delete", DESCRIPTION, none),
        ("delete version", DESCRIPTION, none),
        ("delete bucket", FOREIGN, none),
    ]
    return [Request(name, key, frozenset(allowed)) for name, key, allowed in wanted]


@pytest.fixture(scope="module")
def bucket(seaweedfs):
    bucket = RoleBucket(seaweedfs, "backstop-roles-denied").create()
    for key in OBJECTS:
        bucket.administrator().put_object(Bucket=bucket.name, Key=key, Body=b"stored")
    return bucket


def may(client: Any, bucket: RoleBucket, request: Request) -> bool:
    try:
        request.send(client, bucket.name)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] != 403
    return True


@pytest.mark.parametrize("role", AccessRole, ids=lambda role: role.value)
def test_a_role_may_do_just_what_it_is_granted(bucket, role):
    client = bucket.client(role)
    # Deletions come last: each request finds what the ones before have left.
    found = {(one.name, one.key): may(client, bucket, one) for one in requests()}

    assert found == {(one.name, one.key): role in one.allowed for one in requests()}


@pytest.mark.parametrize(
    "role", [role for role in AccessRole if role is not AccessRole.PREPARER], ids=lambda role: role.value
)
@pytest.mark.parametrize("name", ["policy", "versioning"])
def test_nobody_but_who_prepares_it_changes_the_bucket(bucket, role, name):
    assert not may(bucket.client(role), bucket, Request(name, "", frozenset()))


@pytest.mark.parametrize(
    "role", [role for role in AccessRole if role not in DELETERS], ids=lambda role: role.value
)
def test_what_a_thief_overwrites_stays_as_the_version_that_was(bucket, role):
    key = f"calibrify/data/database/20261124T010000Z-dump/a1/{role.value}"
    stored = bucket.administrator().put_object(Bucket=bucket.name, Key=key, Body=b"good")
    thief = bucket.client(role)
    for name in ("put", "multipart", "delete", "delete version"):
        may(thief, bucket, Request(name, key, frozenset()))

    version = bucket.administrator().get_object(Bucket=bucket.name, Key=key, VersionId=stored["VersionId"])
    assert version["Body"].read() == b"good"


@pytest.fixture(scope="module")
def whole(seaweedfs):
    return RoleBucket(seaweedfs, "backstop-roles-whole", everybody=True).create()


@pytest.fixture(scope="module")
def prefixed(seaweedfs):
    return RoleBucket(seaweedfs, "backstop-roles-prefixed", prefix="lab").create()


@pytest.mark.parametrize("role", AccessRole, ids=lambda role: role.value)
def test_every_role_finds_out_whether_its_repository_answers(bucket, prefixed, role):
    for one in (bucket, prefixed):
        S3Storage(one.client(role), bucket=one.name, prefix=one.prefix).check()


@pytest.mark.parametrize("role", AccessRole, ids=lambda role: role.value)
def test_below_a_prefix_a_role_sees_nothing_of_what_else_is_in_the_bucket(prefixed, role):
    client = prefixed.client(role)
    listings = [client.list_objects_v2, client.list_object_versions]

    def refused(listing: Any, prefix: str) -> bool:
        try:
            listing(Bucket=prefixed.name, Prefix=prefix)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        return False

    assert not refused(client.list_objects_v2, "lab/calibrify/meta/")
    assert [refused(listing, prefix) for listing in listings for prefix in ("", "another/", "lab")] == [
        True
    ] * 6


@pytest.mark.parametrize("role", AccessRole, ids=lambda role: role.value)
@pytest.mark.parametrize("place", ["whole", "prefixed"])
def test_the_auditor_alone_sees_which_targets_there_are_and_no_object_by_that(request, place, role):
    bucket = request.getfixturevalue(place)
    top = f"{bucket.prefix}/" if bucket.prefix else ""
    for key in ("red/meta/manifests/a.json", "blue/tail/1/a"):
        bucket.administrator().put_object(Bucket=bucket.name, Key=f"{top}{key}", Body=b"x")
    storage = S3Storage(bucket.client(role), bucket=bucket.name, prefix=bucket.prefix)

    def refused(**listing: str) -> bool:
        try:
            bucket.client(role).list_objects_v2(Bucket=bucket.name, **listing)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        return False

    if role is AccessRole.AUDITOR:
        assert {"red", "blue"} <= {*storage.folders()}
        assert [*storage.list("red/meta/")]
    else:
        with pytest.raises(ForbiddenError):
            [*storage.folders()]
    # Neither without the delimiter, nor with another one, nor above the repository.
    others = [{"Prefix": top}, {"Prefix": top, "Delimiter": "e"}, {}, {"Delimiter": "e"}]
    if bucket.prefix:
        others += [{"Prefix": "", "Delimiter": "/"}, {"Delimiter": "/"}]
    assert [one for one in others if not refused(**one)] == []


def test_whoever_audits_some_targets_does_not_learn_which_others_there_are(bucket):
    with pytest.raises(ForbiddenError):
        [*S3Storage(bucket.client(AccessRole.AUDITOR), bucket=bucket.name).folders()]
