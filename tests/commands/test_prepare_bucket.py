"""What guards a bucket: seen, mended where it is ours, told where it is not.

Policies, logs and the block of the public are asked of moto's server, a MOCK of S3: no S3 server from the
package index has them all. Versions and locks are asked of a real one.
"""

from __future__ import annotations

import secrets

import pytest
import yaml
from moto.server import ThreadedMotoServer

from backstop.commands.prepare.bucket import GuardsStep, LocksStep, VersionsStep
from backstop.commands.prepare.preparation import prepare_repository
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.model.access_policy import Place, bucket_policy
from backstop.settings.check import preparation_steps
from backstop.storage.s3_client import s3_client
from backstop.storage.s3_retry import Patience
from backstop.storage.s3_settings import BucketSettings
from backstop.targets import load_targets
from tests.cli.installation import install
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


def ours(settings, **place):
    """What is still to be done about the policy of one repository."""
    step = GuardsStep(settings, Place(settings.bucket, **place))
    return [one.what for one in prepare(step).differences if one.ours]


def make(settings, **place):
    prepare(GuardsStep(settings, Place(settings.bucket, **place)), apply=True)


def as_aws_gives_it_back(settings):
    """A list of one comes back as a string."""

    def collapsed(value):
        if isinstance(value, dict):
            return {name: collapsed(one) for name, one in value.items()}
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    policy = settings.policy()
    policy["Statement"] = [collapsed(one) for one in policy["Statement"]]
    settings.write_policy(policy)


@pytest.mark.parametrize(
    "place",
    [{"targets": ("calibrify",)}, {"targets": ("calibrify", "lab")}, {"prefix": "lab"}, {"targets": ()}],
    ids=["one target", "two targets", "a prefix", "no target"],
)
def test_what_was_mended_is_no_drift_however_aws_writes_it(mocked, place):
    make(mocked, **place)
    as_aws_gives_it_back(mocked)

    assert ours(mocked, **place) == []


def test_two_repositories_in_one_bucket_guard_each_other_no_less(mocked):
    first, second, third = {"prefix": "near"}, {"prefix": "far"}, {"targets": ("calibrify",)}
    for place in (first, second, third):
        make(mocked, **place)
        as_aws_gives_it_back(mocked)

    assert [ours(mocked, **place) for place in (first, second, third)] == [[], [], []]
    assert {one["Sid"] for one in mocked.policy()["Statement"]} == SIDS


def test_a_policy_that_terraform_made_for_every_target_is_no_drift_and_is_not_narrowed(mocked):
    made = bucket_policy(Place(mocked.bucket), expirers=["arn:aws:iam::123456789012:role/expirer"])
    mocked.write_policy(made)

    assert [one for one in ours(mocked, targets=("calibrify",)) if one.startswith("statement")] == []
    make(mocked, targets=("calibrify",))

    assert mocked.policy() == made


def test_a_statement_that_is_stricter_than_ours_stays_as_strict(mocked):
    arn = f"arn:aws:s3:::{mocked.bucket}"
    stricter = {
        "Sid": "EvidenceIsNeverDeleted",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": ["s3:Delete*", "s3:PutObjectAcl"],
        "Resource": [f"{arn}/other/meta/evidence/*"],
    }
    mocked.write_policy({"Version": "2012-10-17", "Statement": [stricter]})

    make(mocked, targets=("calibrify",))

    (there,) = [one for one in mocked.policy()["Statement"] if one["Sid"] == "EvidenceIsNeverDeleted"]
    assert set(there["Action"]) >= {"s3:Delete*", "s3:PutObjectAcl"}
    assert there["Resource"] == [f"{arn}/other/meta/evidence/*", f"{arn}/calibrify/meta/evidence/*"]
    assert ours(mocked, targets=("calibrify",)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Action": "s3:DeleteObject"},
        {"Resource": "arn:aws:s3:::another/*"},
        {"Condition": {"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/thief"}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_statement_that_denies_less_than_ours_is_drift(mocked, change):
    make(mocked, targets=("calibrify",))
    policy = mocked.policy()
    policy["Statement"] = [
        {**one, **change} if one["Sid"] == "EvidenceIsNeverDeleted" else one for one in policy["Statement"]
    ]
    mocked.write_policy(policy)
    assert ours(mocked, targets=("calibrify",)) == ["statement EvidenceIsNeverDeleted of its policy"]

    make(mocked, targets=("calibrify",))

    assert ours(mocked, targets=("calibrify",)) == []


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("lab-1", "aws")],
)
def test_a_bucket_lies_in_the_partition_of_its_region(region, partition):
    client = s3_client(Key("mock", "mock"), region=region)

    assert BucketSettings(client, bucket="lab", patience=Patience()).partition == partition


@pytest.mark.parametrize(
    ("endpoint", "aws"),
    [
        (None, True),
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("http://127.0.0.1:8333", False),
        ("https://s3.amazonaws.com.example.org", False),
        ("https://notamazonaws.com", False),
    ],
)
def test_aws_under_one_of_its_own_names_is_guarded_as_aws(endpoint, aws, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    file = tmp_path / "targets.yaml"
    document = yaml.safe_load(file.read_text())
    document["repositories"]["near"] = {"type": "s3", "bucket": "lab", "region": "cn-north-1"}
    if endpoint:
        document["repositories"]["near"]["endpoint_url"] = endpoint
    file.write_text(yaml.safe_dump(document))

    _, steps = preparation_steps(load_targets(file), "near", default_credentials(AccessRole.PREPARER))

    assert [isinstance(one, GuardsStep) for one in steps].count(True) == int(aws)
    if aws:
        (guard,) = [one for one in steps if isinstance(one, GuardsStep)]
        assert guard.place.arn == "arn:aws-cn:s3:::lab"
