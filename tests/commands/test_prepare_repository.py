"""What a repository's place should be, what is mended, and what is only told."""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from types import SimpleNamespace

import pytest

from backstop.commands.prepare.directory import DirectoryStep
from backstop.commands.prepare.lifecycle import LifecycleStep
from backstop.commands.prepare.preparation import prepare_repository
from backstop.errors import StorageError, StorageUnavailableError
from backstop.storage.s3_client import s3_client
from backstop.storage.s3_lifecycle import BucketLifecycle
from backstop.storage.s3_retry import Patience
from tests.storage.conftest import Key


def prepare(step, *, apply=False):
    return prepare_repository("local", "somewhere", [step], apply=apply)


# -- A directory ---------------------------------------------------------------------------------------------


def test_a_directory_that_is_missing_is_told_and_made_on_request_for_its_user_alone(tmp_path):
    path = tmp_path / "repository"

    assert [one.found for one in prepare(DirectoryStep(path)).differences] == ["is missing"]
    assert not path.exists()

    prepared = prepare(DirectoryStep(path), apply=True)
    assert prepared.differences == ()
    assert path.stat().st_mode & 0o777 == 0o700


def test_a_disk_that_is_not_mounted_does_not_become_a_fresh_repository(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        prepare(DirectoryStep(tmp_path / "mount" / "repository"), apply=True)

    assert not (tmp_path / "mount").exists()


def test_without_the_disk_that_should_be_mounted_there_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("backstop.storage.mounts._SYSTEM", tmp_path)
    here = tmp_path / "repository"

    with pytest.raises(StorageUnavailableError, match="nothing is mounted there"):
        prepare(DirectoryStep(here, mounted=True), apply=True)

    assert not here.exists()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o500])
def test_permissions_that_others_have_or_we_lack_are_mended(tmp_path, mode):
    path = tmp_path / "repository"
    path.mkdir()
    path.chmod(mode)

    assert [one.what for one in prepare(DirectoryStep(path)).differences] == ["permissions"]
    assert path.stat().st_mode & 0o777 == mode

    assert prepare(DirectoryStep(path), apply=True).differences == ()
    assert path.stat().st_mode & 0o777 == 0o700


def test_a_directory_of_somebody_else_is_told_and_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "repository"
    path.mkdir(mode=0o755)
    path.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    prepared = prepare(DirectoryStep(path), apply=True)

    assert {one.what for one in prepared.differences} == {"permissions", "owner"}
    assert not any(one.ours for one in prepared.differences)
    assert path.stat().st_mode & 0o777 == 0o755


# -- A bucket ------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(seaweedfs):
    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    name = f"lifecycle-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=name)
    return SimpleNamespace(
        client=client,
        name=name,
        rules=lambda: client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"],
        put=lambda *rules: client.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": list(rules)}
        ),
        lifecycle=BucketLifecycle(client, bucket=name, patience=Patience()),
    )


def step(bucket, *prefixes, days=30):
    return LifecycleStep(bucket.lifecycle, prefixes or ("calibrify/",), noncurrent=timedelta(days=days))


@pytest.mark.integration
def test_a_fresh_bucket_gets_both_rules_and_is_then_as_it_should_be(bucket):
    assert len(prepare(step(bucket)).differences) == 2

    prepared = prepare(step(bucket), apply=True)

    assert (len(prepared.applied), prepared.differences) == (2, ())
    uploads, noncurrent = sorted(bucket.rules(), key=lambda rule: rule["ID"], reverse=True)
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert noncurrent["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert {rule["Filter"]["Prefix"] for rule in (uploads, noncurrent)} == {"calibrify/"}
    # Nothing of a rule of ours touches a current object.
    assert not any({"Expiration", "Transitions"} & rule.keys() for rule in (uploads, noncurrent))
    assert prepare(step(bucket)).differences == ()


@pytest.mark.integration
def test_rules_of_others_are_kept_as_they_are(bucket):
    theirs = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 3},
    }
    bucket.put(theirs)

    prepared = prepare(step(bucket), apply=True)

    assert prepared.differences == ()
    [kept] = [rule for rule in bucket.rules() if rule["ID"] == "theirs"]
    assert kept == theirs
    assert len(bucket.rules()) == 3


@pytest.mark.integration
def test_a_rule_that_has_drifted_is_told_and_set_right(bucket):
    prepare(step(bucket), apply=True)
    drifted = bucket.rules()
    drifted[0]["Status"] = "Disabled"
    bucket.put(*drifted)

    [difference] = prepare(step(bucket, days=30)).differences
    assert "switched off" in difference.found
    assert len(prepare(step(bucket, days=60)).differences) >= 1

    assert prepare(step(bucket, days=60), apply=True).differences == ()
    assert len(bucket.rules()) == 2


@pytest.mark.integration
@pytest.mark.parametrize("prefix", ["", "calibrify/data/", "cal"])
def test_a_rule_of_somebody_else_that_would_remove_backups_is_named_and_not_changed(bucket, prefix):
    bucket.put({"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": 90}})

    prepared = prepare(step(bucket), apply=True)

    [difference] = prepared.differences
    assert "tidy" in difference.what
    assert "current objects go after 90 days" in difference.found
    assert not difference.ours
    assert "tidy" in {rule["ID"] for rule in bucket.rules()}


def test_prefixes_that_differ_in_a_dot_have_rules_of_their_own():
    lifecycle = SimpleNamespace(rules=list)

    found = LifecycleStep(lifecycle, ["a/b/", "a.b/", "a./b/"], noncurrent=timedelta(days=30)).differences()

    assert len({one.what for one in found}) == 6


def test_a_rule_that_moves_backups_to_an_archive_is_named():
    lifecycle = SimpleNamespace(
        rules=lambda: [
            {
                "ID": "glacier",
                "Status": "Enabled",
                "Filter": {"And": {"Prefix": "calibrify/", "Tags": []}},
                "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}],
            },
            {
                "ID": "old form",
                "Status": "Enabled",
                "Prefix": "calibrify/",
                "Expiration": {"Date": "2027-01-01"},
            },
            {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}},
            {
                "ID": "marks",
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "Expiration": {"ExpiredObjectDeleteMarker": True},
            },
        ]
    )

    found = LifecycleStep(lifecycle, ["calibrify/"], noncurrent=timedelta(days=30)).differences()

    assert [one.what for one in found if not one.ours] == [
        "lifecycle rule glacier",
        "lifecycle rule old form",
    ]


def test_what_the_service_wants_kept_beside_the_rules_is_written_back():
    class Client:
        def __init__(self):
            self.written = None

        def get_bucket_lifecycle_configuration(self, **_):
            return {"Rules": [], "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}

        def put_bucket_lifecycle_configuration(self, **written):
            self.written = written

    client = Client()
    lifecycle = BucketLifecycle(client, bucket="backups", patience=Patience())
    LifecycleStep(lifecycle, ["calibrify/"], noncurrent=timedelta(days=30)).apply()

    assert client.written["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    assert len(client.written["LifecycleConfiguration"]["Rules"]) == 2
