"""Expiry and healing by their own roles: each verb has the connections of its role at hand, and no others."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
import yaml

import backstop.commands.keys.removal as removal
from backstop.cli.main import main
from backstop.crypto.signing import Signer
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.storage.s3 import S3Storage
from tests.access.bucket import RoleBucket
from tests.cli.installation import install
from tests.legacy_making import dump_name
from tests.making import Maker

pytestmark = pytest.mark.integration

AGES = (50, 40, 2, 1)


@pytest.fixture
def bucket(seaweedfs, tmp_path, request):
    name = f"backstop-upkeep-{tmp_path.name[-12:].strip('_').replace('_', '-')}"
    return RoleBucket(seaweedfs, name, everybody=getattr(request, "param", False)).create()


@pytest.fixture
def folder(tmp_path, monkeypatch, bucket):
    """``near`` is a bucket that keeps 30 days, ``far`` a directory; both have the same proven dumps."""
    install(tmp_path, monkeypatch, retention="{near: 30d}")
    file = tmp_path / "targets.yaml"
    document = yaml.safe_load(file.read_text())
    document["repositories"]["near"] = {
        "type": "s3",
        "bucket": bucket.name,
        "endpoint_url": bucket.server.endpoint_url,
        "region": "us-east-1",
        "connections": {role.value: f"s3_{role.value}" for role in AccessRole},
    }
    file.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(tmp_path / "connections.json"))
    return tmp_path


@pytest.fixture
def near(folder, bucket):
    far = Maker.in_folder(folder, "far")
    near = Maker(
        S3Storage(bucket.administrator(), bucket=bucket.name), far.keyring, far.signer, far.trust, name="near"
    )
    verifier = Signer.load(folder / "signing" / "proof.pem")
    now = utc_now().replace(microsecond=0)
    for maker in (far, near):
        for days in AGES:
            maker.prove(maker.publish(started_at=now - timedelta(days=days)), signer=verifier)
    return near


@pytest.fixture
def run(folder, near, bucket, capsys):
    """A verb; its file of credentials holds these roles' connections alone."""

    def run(*argv: str, roles: set[AccessRole], code: int = 0):
        known = bucket.connections()
        file = folder / "connections.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({f"s3_{role.value}": known[f"s3_{role.value}"] for role in roles}))
        found = main([*argv, "--json"])
        out, err = capsys.readouterr()
        assert found == code, f"{argv}: {err}{out}"
        return json.loads(out)

    return run


def labels(near: Maker) -> list[str]:
    return [one.manifest.label.text for one in near.catalog.backups().backups]


def test_the_expirer_removes_what_may_go_and_needs_no_other_connection(run, near):
    before = labels(near)

    done = run("expire", "--repository", "near", "--yes", roles={AccessRole.EXPIRER})

    assert [one["expired_total"] for one in done["reports"]] == [1]
    assert len(labels(near)) == len(before) - 1


def test_who_deletes_cannot_say_that_a_loss_was_accepted_and_the_verifier_can(run, near):
    newest = labels(near)[-1]
    accept = ("expire", "--repository", "near", "--accept", newest, "--yes", "--who", "ada")
    accepted = f"calibrify/meta/accepted/{newest}.json"

    refused = run(*accept, roles={AccessRole.EXPIRER}, code=2)["error"]["message"]
    assert "repository near for the role verifier: " in refused
    assert near.storage.stat(accepted) is None

    run(*accept, roles={AccessRole.EXPIRER, AccessRole.VERIFIER})
    assert near.storage.stat(accepted) is not None


def test_the_expirer_retires_what_scripts_made_and_reads_none_of_it(run, near, folder, bucket):
    file = folder / "targets.yaml"
    document = yaml.safe_load(file.read_text())
    place = f"s3://{bucket.name}/old"
    document["targets"]["calibrify"]["legacy"] = {"timezone": "UTC", "database": {"places": {"near": place}}}
    document["targets"]["calibrify"]["database"]["retention"] = {"near": {"keep_for": "30d", "min_proven": 1}}
    file.write_text(yaml.safe_dump(document))
    key = f"old/{dump_name(utc_now() - timedelta(days=90))}"
    bucket.administrator().put_object(Bucket=bucket.name, Key=key, Body=b"payload")
    arn = bucket.place.arn
    listed = {"Action": ["s3:ListBucket", "s3:ListBucketVersions"], "Resource": arn}
    bucket.grant(AccessRole.EXPIRER, **listed, Condition={"StringLike": {"s3:prefix": ["old/*"]}})
    bucket.grant(
        AccessRole.EXPIRER, Action=["s3:DeleteObject", "s3:DeleteObjectVersion"], Resource=f"{arn}/old/*"
    )

    done = run("expire-legacy", "--yes", roles={AccessRole.EXPIRER})

    assert [one.rpartition("/")[2] for one in done["removed"]] == [key.rpartition("/")[2]], done
    versions = bucket.administrator().list_object_versions(Bucket=bucket.name, Prefix="old/")
    assert (versions.get("Versions", []), versions.get("DeleteMarkers", [])) == ([], [])


def test_the_healer_puts_a_good_object_in_the_place_of_a_damaged_one(run, near, bucket):
    damaged = near.catalog.backups().backups[-1].manifest.objects[0].key
    bucket.administrator().put_object(Bucket=bucket.name, Key=damaged, Body=b"damaged")
    check = ("check-objects", "--share", "100%", "--repository", "near")

    found = run(*check, roles={AccessRole.VERIFIER}, code=4)
    assert damaged in json.dumps(found)
    run(*check, "--heal", roles={AccessRole.HEALER})

    run(*check, "--restart", roles={AccessRole.VERIFIER})  # nothing is bad: it ends well
    assert near.storage.stat(damaged).size_bytes > len(b"damaged")


def rename_target(folder):
    file = folder / "targets.yaml"
    file.write_text(file.read_text().replace("  calibrify:\n", "  renamed:\n"))
    shutil.rmtree(folder / "far")
    Maker.in_folder(folder, "far")  # a repository with nothing in it


@pytest.mark.parametrize("bucket", [True], indirect=True, ids=["all targets"])
def test_a_key_goes_once_no_target_needs_it_and_roles_can_tell_that_by_themselves(
    run, near, bucket, folder, monkeypatch
):
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    roles = {AccessRole.VERIFIER, AccessRole.AUDITOR}
    first = json.loads((folder / "ring.json").read_text())["keys"][0]["id"]
    run("rotate-keys", "--now", roles={AccessRole.PREPARER})
    rename_target(folder)

    refused = run("rotate-keys", "--remove", first, roles=roles, code=4)["error"]["message"]
    assert f"key {first} is needed by {len(AGES)} backups" in refused

    for one in near.storage.list("calibrify/"):
        near.storage.delete(one.key)
    run("rotate-keys", "--remove", first, roles=roles)
    assert first not in [one["id"] for one in json.loads((folder / "ring.json").read_text())["keys"]]


def test_whoever_audits_some_targets_removes_a_key_only_when_somebody_vouches_for_the_others(
    run, near, folder, monkeypatch
):
    monkeypatch.setattr(removal, "SETTLED", timedelta(0))
    roles = {AccessRole.VERIFIER, AccessRole.AUDITOR}
    first = json.loads((folder / "ring.json").read_text())["keys"][0]["id"]
    run("rotate-keys", "--now", roles={AccessRole.PREPARER})
    for one in near.storage.list("calibrify/meta/manifests/"):
        near.storage.delete(one.key)
    shutil.rmtree(folder / "far" / "calibrify")

    refused = run("rotate-keys", "--remove", first, roles=roles, code=4)["error"]["message"]

    assert "near, for targets that are described no more, could not be looked at" in refused
