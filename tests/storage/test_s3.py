"""What S3 adds to the contract: versions, pages, parts, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
import traceback
import uuid
from typing import TYPE_CHECKING

import pytest

from backstop.errors import ConfigurationError, ObjectMissingError, StorageError
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from embedded.home import CHECKOUT
from tests.storage.conftest import BUCKET, Key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = pytest.mark.integration


@pytest.fixture
def versioned(client: S3Client) -> Iterator[S3Storage]:
    """A storage in a bucket of its own that keeps versions."""
    bucket = f"versioned-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    yield S3Storage(client, bucket=bucket, prefix="x", part_bytes=5 * 1024**2)
    found = client.list_object_versions(Bucket=bucket)
    for version in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
        client.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    client.delete_bucket(Bucket=bucket)


def test_the_location_names_bucket_and_prefix(client):
    assert S3Storage(client, bucket="b").location == "s3://b"
    assert S3Storage(client, bucket="b", prefix="/p/q/").location == "s3://b/p/q"


def test_a_prefix_that_leads_elsewhere_is_refused(client):
    with pytest.raises(StorageError, match="not an object key"):
        S3Storage(client, bucket="b", prefix="../other")


def test_two_prefixes_of_one_bucket_do_not_see_each_other(client):
    name = uuid.uuid4().hex
    first = S3Storage(client, bucket=BUCKET, prefix=f"{name}/a")
    second = S3Storage(client, bucket=BUCKET, prefix=f"{name}/ab")
    first.put_once("t/x", b"first")

    assert list(second.list("")) == []
    assert second.stat("t/x") is None
    assert [info.key for info in first.list("")] == ["t/x"]


def test_listings_of_several_pages_are_complete_and_in_order(s3, monkeypatch):
    names = [f"t/meta/lease/dump/{number:06d}" for number in range(25)]
    for name in names:
        s3.put_once(name, b"x")
    real = s3._client.list_objects_v2
    pages = []

    def small_pages(**request):
        pages.append(request)
        return real(**request, MaxKeys=10)

    monkeypatch.setattr(s3._client, "list_objects_v2", small_pages)

    assert [info.key for info in s3.list("t/")] == names
    assert len(pages) == 3


def test_versions_are_recorded_by_every_way_of_storing(versioned, tmp_path):
    for name, size_bytes in (("small", 10), ("parts", 6 * 1024**2)):
        source = tmp_path / name
        source.write_bytes(b"x" * size_bytes)
        info = versioned.upload(f"t/data/{name}", source)
        assert info.version_id
        assert info == versioned.stat(f"t/data/{name}")
    put = versioned.put_once("t/meta/a", b"a")
    again = versioned.put_once("t/meta/a", b"a")
    assert put.version_id
    assert put.version_id == again.version_id


def test_an_exact_version_is_read_even_when_the_name_was_deleted(versioned):
    version_id = versioned.put_once("t/meta/a", b"a").version_id
    versioned.delete("t/meta/a")

    with pytest.raises(ObjectMissingError):
        versioned.read("t/meta/a")
    assert versioned.read("t/meta/a", version_id=version_id) == b"a"


def test_deleting_a_version_removes_exactly_that(versioned):
    old = versioned.put_once("t/meta/a", b"old").version_id
    versioned.delete("t/meta/a")
    new = versioned.put_once("t/meta/a", b"new").version_id

    versioned.delete("t/meta/a", version_id=old)

    assert versioned.read("t/meta/a", version_id=new) == b"new"
    with pytest.raises(ObjectMissingError):
        versioned.read("t/meta/a", version_id=old)


def test_a_missing_bucket_is_named_with_what_to_do(client):
    storage = S3Storage(client, bucket="no-such-bucket-here")

    for operation in (
        storage.check,
        lambda: storage.put_once("t/a", b"a"),
        lambda: storage.read("t/a"),
        lambda: list(storage.list("")),
    ):
        with pytest.raises(
            StorageError, match=r"s3://no-such-bucket-here.* NoSuchBucket.*create the bucket"
        ) as e:
            operation()
        assert not e.value.retryable
        assert not isinstance(e.value, ObjectMissingError)


@pytest.mark.parametrize(
    ("login", "password", "hint"),
    [
        ("NOSUCHKEY", "hunter2-hunter2", r"InvalidAccessKeyId.*correct the access key"),
        (None, "hunter2-hunter2", r"SignatureDoesNotMatch.*correct the secret key"),
    ],
)
def test_wrong_credentials_are_told_apart_and_never_shown(
    seaweedfs: EmbeddedSeaweedFS, login, password, hint
):
    key = Key(login or seaweedfs.access_key, password)
    storage = S3Storage(s3_client(key, endpoint_url=seaweedfs.endpoint_url), bucket=BUCKET)

    with pytest.raises(StorageError, match=hint) as caught:
        storage.check()

    printed = "".join(traceback.format_exception(caught.value))
    assert password not in printed
    assert key.login not in printed
    assert not caught.value.retryable


# -- The client ------------------------------------------------------------------------------------------


def test_the_client_notices_stalls_and_signs_bodies_only_where_nothing_else_protects_them():
    plain = s3_client(Key("a", "b"), endpoint_url="http://127.0.0.1:1").meta.config
    tls = s3_client(Key("a", "b"), endpoint_url="https://127.0.0.1:1").meta.config
    aws = s3_client(Key("a", "b"), region="eu-central-1").meta.config

    assert (plain.connect_timeout, plain.read_timeout) == (10, 60)
    assert plain.s3["payload_signing_enabled"]
    assert not tls.s3["payload_signing_enabled"]
    assert not aws.s3["payload_signing_enabled"]
    assert plain.s3["addressing_style"] == tls.s3["addressing_style"] == "path"
    assert aws.s3["addressing_style"] == "auto"
    assert aws.request_checksum_calculation == aws.response_checksum_validation == "when_required"
    assert aws.retries["total_max_attempts"] == 1


def test_building_a_client_loads_nothing_that_we_do_not_use():
    code = (
        "import sys; sys.path.insert(0, 'plugins')\n"
        "from backstop.storage.s3_client import s3_client\n"
        "s3_client(None, endpoint_url='http://127.0.0.1:1')\n"
        "print({'boto3', 's3transfer', 'multiprocessing'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"


def test_endpoint_and_region_may_come_from_the_connection():
    client = s3_client(Key("a", "b", extra={"endpoint_url": "http://h:1", "region_name": "eu-west-1"}))

    assert client.meta.endpoint_url == "http://h:1"
    assert client.meta.region_name == "eu-west-1"


def test_targets_yaml_wins_over_the_connection():
    key = Key("a", "b", extra={"endpoint_url": "http://h:1", "region_name": "eu-west-1"})

    client = s3_client(key, endpoint_url="http://g:2", region="us-west-2")

    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://g:2", "us-west-2")


@pytest.mark.parametrize(
    ("key", "endpoint", "message"),
    [
        (
            Key("a", "b", extra={"profile_name": "x"}),
            None,
            r"'tests_s3' has extras Backstop does not use: profile_name",
        ),
        (Key("a", None), None, r"only one of access key \(login\) and secret key"),
        (Key("a", "b"), "ftp://h", "not a URL"),
        (Key("a", "b"), "https://user:hunter2@h", "not a URL"),
        (Key("a", "b"), "localhost:8333", "not a URL"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_without_showing_secrets(key, endpoint, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        s3_client(key, endpoint_url=endpoint)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_no_credentials_at_all_is_said(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    storage = S3Storage(s3_client(None, endpoint_url="http://127.0.0.1:1"), bucket="b")

    with pytest.raises(StorageError, match=r"no credentials.*name a connection") as caught:
        storage.check()
    assert not caught.value.retryable


def test_a_write_that_is_only_tried_leaves_no_version_and_no_delete_marker(versioned):
    versioned.put_once("t/meta/there", b"stays")

    versioned.probe("t/data/probe")

    assert [found.key for found in versioned.versions("t/")] == ["t/meta/there"]
    assert list(versioned.incomplete_uploads("t/")) == []
