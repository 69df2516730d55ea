"""``list``: which backups there are, and which of them are proven."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.credentials import Credential
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from tests.making import STARTED

FIRST = "20261123T010000Z-dump"
SECOND = "20261124T010000Z-dump"


def test_all_of_a_hundred_backups_are_listed(run, maker, verifier):
    near = maker()
    for day in range(100):
        near.prove(near.publish(started_at=STARTED + timedelta(days=day)), signer=verifier)

    _, out, _ = run("list")

    assert len(out.splitlines()) == 101


def test_the_list_tells_proven_from_completed_and_failed(run, maker, verifier):
    near = maker()
    near.prove(near.publish(), signer=verifier)
    near.prove(near.publish(started_at=STARTED + timedelta(days=1)), signer=verifier, matched=False)
    near.publish(started_at=STARTED + timedelta(days=2))

    code, out, err = run("list")

    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["LABEL", "KIND", "FINISHED", "SIZE", "STORED", "REPOSITORIES", "STATE"]
    assert lines[1].startswith("20261125T010000Z-dump  dump  2026-11-25 01:01:00Z")
    assert lines[1].endswith("near          completed, not proven")
    assert lines[2].endswith("near          FAILED its proof 2026-11-24 01:11:00Z")
    assert lines[3].endswith("near          proven 2026-11-23 01:11:00Z")
    assert err == "backstop: calibrify: read from near; not asked: far (--all asks every one)\n"


def test_a_later_failure_takes_the_word_proven_away(run, maker, verifier):
    near = maker()
    published = near.publish()
    near.prove(published, signer=verifier)
    near.prove(published, signer=verifier, matched=False, minutes=30)

    _, out, _ = run("list")

    assert "FAILED its proof" in out
    assert "proven 2" not in out


def test_with_all_repositories_each_copys_state_is_told_apart(run, maker, verifier):
    near, far = maker(), maker("far")
    near.prove(near.publish(), signer=verifier)
    far.publish()

    code, out, err = run("list", "--all")

    assert code == 0
    assert out.splitlines()[1].endswith(
        "near, far     near: proven 2026-11-23 01:11:00Z; far: completed, not proven"
    )
    assert err == ""


def test_the_list_as_json_has_states_and_bytes(run, maker, verifier):
    near = maker()
    published = near.publish()
    near.prove(published, signer=verifier)

    _, out, _ = run("list", "--json")

    target = json.loads(out)["targets"]["calibrify"]
    assert target["repositories"] == {
        "near": {"read": True, "error": None}, "far": {"read": False, "error": None},
    }  # fmt: skip
    (backup,) = target["backups"]
    assert backup["label"] == FIRST
    assert backup["stored_bytes"] == published.manifest.stored_bytes
    assert backup["repositories"] == {
        "near": {"state": "proven", "proven_at": "2026-11-23T01:11:00.000000Z", "holds": []}
    }


def test_a_repository_that_fails_is_named_and_the_next_one_is_read(run, maker):
    maker("far").publish()

    code, out, err = run("list")

    assert code == 0
    assert FIRST in out
    assert "repository near did not answer" in err


def test_with_no_repository_at_all_the_list_fails_with_the_reason(run, installation):
    code, out, err = run("list")

    assert (code, out) == (3, "")
    assert err.startswith(f"backstop: {installation}/near is not a Backstop repository")
    assert "\n  next: " in err


@pytest.mark.integration
def test_a_bucket_is_listed_like_a_directory(run, maker, verifier, installation, seaweedfs, monkeypatch):
    bucket = S3Storage(
        s3_client(
            Credential("s3", login=seaweedfs.access_key, password=seaweedfs.secret_key),
            endpoint_url=seaweedfs.endpoint_url,
            region="us-east-1",
        ),
        bucket="backstop-tests",
        prefix=installation.name,
    )
    far = replace(maker(), storage=bucket, name="far")
    far.prove(far.publish(), signer=verifier)
    maker().publish()
    targets = installation / "targets.yaml"
    in_bucket = (
        f"far: {{type: s3, bucket: backstop-tests, prefix: {installation.name}, conn_id: s3, "
        f'endpoint_url: "{seaweedfs.endpoint_url}", region: us-east-1}}'
    )
    in_directory = f"far: {{type: posix, path: {installation}/far}}"
    targets.write_text(targets.read_text().replace(in_directory, in_bucket))
    connection = {"conn_type": "aws", "login": seaweedfs.access_key, "password": seaweedfs.secret_key}
    monkeypatch.setenv("AIRFLOW_CONN_S3", json.dumps(connection))

    far_only = run("list", "--repository", "far")
    both = run("list", "--all")

    assert far_only[1].splitlines()[1].endswith("far           proven 2026-11-23 01:11:00Z")
    assert "near: completed, not proven; far: proven 2026-11-23 01:11:00Z" in both[1]
    assert (far_only[0], both[0]) == (0, 0)


def test_a_manifest_nobody_signed_is_shown_as_untrusted_and_not_as_a_backup(run, maker, installation):
    near = maker()
    near.publish()
    second = near.publish(started_at=STARTED + timedelta(days=1)).manifest
    path = installation / "near" / "calibrify" / "meta" / "manifests" / f"{second.label}.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"rows":1000', '"rows":1001'))

    code, out, err = run("list")

    assert code == 4
    assert FIRST in out
    assert SECOND not in out
    assert f"not to be trusted, in near: manifest {SECOND} of calibrify was changed" in err


@pytest.mark.parametrize(
    "change", [('"kind":"dump"', '"kind":"full"'), ('"epoch":1,', '"epoch":1, '), ("{", '{"more":1,')]
)
def test_a_manifest_that_says_anything_besides_what_was_signed_is_not_trusted(
    run, maker, installation, change
):
    manifest = maker().publish().manifest
    path = installation / "near" / "calibrify" / "meta" / "manifests" / f"{manifest.label}.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace(*change, 1))

    code, out, err = run("list")

    assert code == 4
    assert FIRST not in out
    assert "not to be trusted, in near: " in err


def test_a_damaged_proof_leaves_its_backup_unproven_and_is_reported(run, maker, verifier, installation):
    near = maker()
    near.prove(near.publish(), signer=verifier)
    (proof,) = (installation / "near" / "calibrify" / "meta" / "proofs" / FIRST).iterdir()
    proof.chmod(0o600)
    proof.write_text(proof.read_text().replace('"rows":1000', '"rows":1001'))

    code, out, err = run("list")

    assert code == 4
    assert "completed, not proven" in out
    assert "not to be trusted, in near: proof" in err
