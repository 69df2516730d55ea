"""What guards a bucket: seen, mended where it is ours, told where it is not.

Policies, logs and the block of the public are asked of moto's server, a MOCK of S3: no S3 server from the
package index has them all. Versions and locks are asked of a real one.
"""

from __future__ import annotations

import secrets

import pytest
from moto.server import ThreadedMotoServer

from backstop.commands.prepare.bucket import GuardsStep, LocksStep, VersionsStep
from backstop.commands.prepare.preparation import prepare_repository
from backstop.model.access_policy import Place
from backstop.storage.s3_client import s3_client
from backstop.storage.s3_retry import Patience
from backstop.storage.s3_settings import BucketSettings
from tests.storage.conftest import Key

SIDS = {
    "TlsOnly", "MetaIsNeverOverwritten", "EvidenceIsNeverDeleted", "RepositoryIsNeverDeleted",
    "LocksAreNeverBypassed",
}  # fmt: skip


@pytest.fixture(scope="module")
def mock():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield s3_client(Key("mock", "mock"), endpoint_url=f"http://{host}:{port}")
    server.stop()


@pytest.fixture
def mocked(mock):
    name = f"lab-{secrets.token_hex(4)}"
    mock.create_bucket(Bucket=name)
    return BucketSettings(mock, bucket=name, patience=Patience())


@pytest.fixture
def real(seaweedfs):
    client = s3_client(Key(seaweedfs.access_key, seaweedfs.secret_key), endpoint_url=seaweedfs.endpoint_url)
    name = f"lab-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=name)
    return BucketSettings(client, bucket=name, patience=Patience())


def prepare(*steps, apply=False):
    return prepare_repository("s3", "s3://lab", steps, apply=apply)


def whats(prepared):
    return [one.what for one in prepared.differences]


@pytest.mark.integration
def test_a_bucket_without_versions_gets_them_on_request(real):
    assert whats(prepare(VersionsStep(real))) == ["versioning"]
    assert not real.versioned()

    assert whats(prepare(VersionsStep(real), apply=True)) == []
    assert real.versioned()


@pytest.mark.integration
def test_a_bucket_that_cannot_lock_is_told_of_and_left_to_its_owner(real):
    (difference,) = prepare(LocksStep(real), apply=True).differences

    assert (difference.what, difference.ours) == ("Object Lock", False)


def guarded(settings):
    return GuardsStep(settings, Place(settings.bucket, targets=("calibrify",)))


def test_what_denies_is_put_into_the_policy_and_what_others_allow_stays(mock, mocked):
    theirs = {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{mocked.bucket}",
    }
    mocked.write_policy({"Version": "2012-10-17", "Statement": [theirs]})
    missing = whats(prepare(guarded(mocked)))
    assert {f"statement {sid} of its policy" for sid in SIDS} <= set(missing)
    assert "public access" in missing

    left = prepare(guarded(mocked), apply=True)

    assert whats(left) == ["encryption by the service", "access logging"]
    assert not any(one.ours for one in left.differences)
    statements = {one["Sid"]: one for one in mocked.policy()["Statement"]}
    assert set(statements) == {"Theirs", *SIDS}
    assert statements["Theirs"] == theirs
    assert mocked.closed_to_the_public()


def test_a_guard_that_somebody_loosened_is_drift_and_is_tightened_again(mocked):
    prepare(guarded(mocked), apply=True)
    policy = mocked.policy()
    policy["Statement"] = [
        {**one, "Condition": {"Bool": {"aws:SecureTransport": "true"}}} if one["Sid"] == "TlsOnly" else one
        for one in policy["Statement"]
    ]
    mocked.write_policy(policy)

    (drift, *_) = prepare(guarded(mocked)).differences
    assert (drift.what, drift.found) == ("statement TlsOnly of its policy", "says something else")

    prepare(guarded(mocked), apply=True)
    assert "statement TlsOnly of its policy" not in whats(prepare(guarded(mocked)))


def test_logs_and_encryption_that_are_there_are_seen(mock, mocked):
    mock.create_bucket(Bucket=f"{mocked.bucket}-logs")
    mock.put_bucket_acl(Bucket=f"{mocked.bucket}-logs", ACL="log-delivery-write")
    mock.put_bucket_logging(
        Bucket=mocked.bucket,
        BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": f"{mocked.bucket}-logs", "TargetPrefix": ""}},
    )
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    mock.put_bucket_encryption(Bucket=mocked.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})

    assert whats(prepare(guarded(mocked), apply=True)) == []
