"""A watch tells of documents that somebody deleted or stored again in a bucket with versions."""

from __future__ import annotations

import pytest

from backstop.errors import StorageError
from backstop.model.finding import Level


def store_again(storage, key, body):
    """What a bucket with versions allows whoever may put."""
    storage.delete(key)
    storage._past[key] = [one for one in storage._past[key] if not one[1].is_marker]
    storage.upload(key, body)


@pytest.fixture
def versioned(world):
    """Two dumps in repositories that keep former versions."""
    for storage in world.storages.values():
        storage._versioned = True
    world.labels = [world.dump(0), world.dump(1)]
    world.at(1, 2)
    return world


def test_nothing_is_said_of_what_was_put_once(versioned):
    assert versioned.watch().findings == ()


def test_a_deleted_proof_is_critical_and_named(versioned):
    (key,) = (
        one.key for one in versioned.storages["s3"].list(f"calibrify/meta/proofs/{versioned.labels[0]}/")
    )
    versioned.storages["s3"].delete(key)

    (finding,) = [one for one in versioned.watch().findings if one.check == "tampering"]

    assert (finding.subject, finding.level) == ("deleted in s3", Level.CRITICAL)
    assert "1 document in s3 that Backstop puts once was deleted by somebody" in finding.sentence
    assert key in finding.sentence
    assert "delete marker" in finding.next_step


def test_an_overwritten_manifest_is_critical_and_named(versioned):
    key = versioned.manifest_key(versioned.labels[1])
    store_again(versioned.storages["s3"], key, b"{}")

    (finding,) = [one for one in versioned.watch().findings if one.check == "tampering"]

    assert (finding.subject, finding.level) == ("overwritten in s3", Level.CRITICAL)
    assert key in finding.sentence
    assert "the oldest version of each is the true one" in finding.next_step


def test_what_expiry_removed_with_all_its_versions_is_not_missed(versioned):
    catalog = versioned.makers["s3"].catalog
    catalog.withdraw(versioned.labels[0])

    assert [one for one in versioned.watch().findings if one.check == "tampering"] == []


def test_a_repository_that_does_not_list_versions_leaves_it_unjudged(versioned, monkeypatch):
    def refuse(prefix):
        raise StorageError("s3: list versions failed", hint="")

    monkeypatch.setattr(versioned.storages["s3"], "versions", refuse, raising=False)

    observed = versioned.watch()

    assert [one.check for one in observed.findings] == []
    assert any("former versions in s3" in one for one in observed.observation.unseen)
