from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.errors import NotFoundError
from backstop.operators.choice import newest_proven
from backstop.operators.known import FAILED, PROVEN, UNPROVEN, first_holder, known_backups
from tests.making import STARTED


def test_a_backup_in_two_repositories_is_offered_once_with_both_states(makers):
    local, s3, prover = makers
    local.prove(local.publish(), signer=prover)
    s3.publish()

    (backup,) = known_backups([local.repository, s3.repository]).backups

    assert backup.proofs == {"local": PROVEN, "s3": UNPROVEN}
    assert "local: proven; s3: not proven yet" in backup.describe(STARTED + timedelta(days=2))


def test_a_later_failed_verification_is_what_people_see(makers):
    local, _, prover = makers
    published = local.publish()
    local.prove(published, signer=prover, minutes=10)
    local.prove(published, signer=prover, matched=False, minutes=20)

    (backup,) = known_backups([local.repository]).backups

    assert backup.proofs == {"local": FAILED}


def test_the_newest_is_offered_first(makers):
    local, _, _ = makers
    for day in (2, 1, 3):
        local.publish(started_at=STARTED + timedelta(days=day))

    labels = known_backups([local.repository]).labels

    assert labels == sorted(labels, reverse=True)


def test_a_damaged_manifest_is_named_and_hides_no_other(makers):
    local, _, _ = makers
    local.publish()
    local.storage.put_once("calibrify/meta/manifests/20261122T010000Z-dump.json", b"{}")

    known = known_backups([local.repository])

    assert known.labels == ["20261123T010000Z-dump"]
    (problem,) = known.problems
    assert problem.startswith("repository local: manifest")


def test_a_repository_out_of_reach_is_named_and_the_other_is_offered(makers):
    local, s3, _ = makers
    local.publish()
    s3.catalog._target = "nobody/.."  # a key that the storage refuses, as any broken storage would

    known = known_backups([s3.repository, local.repository])

    assert known.labels == ["20261123T010000Z-dump"]
    (problem,) = known.problems
    assert problem.startswith("repository s3: ")


def test_without_any_backup_the_places_that_were_searched_are_named(makers):
    local, s3, _ = makers

    with pytest.raises(NotFoundError, match=r"no backup to restore in .*memory"):
        known_backups([local.repository, s3.repository])


def test_a_proven_copy_is_read_before_an_unproven_one_and_a_failed_one_last(makers):
    local, s3, prover = makers
    published = local.publish()
    s3.publish()
    label = published.manifest.label.text
    assert first_holder([local.repository, s3.repository], label) == "local"

    local.prove(published, signer=prover, matched=False)

    assert first_holder([local.repository, s3.repository], label) == "s3"


def test_newest_proven_passes_over_a_newer_unproven_backup(makers):
    local, _, prover = makers
    proven = local.publish()
    local.publish(started_at=STARTED + timedelta(days=1))
    with pytest.raises(NotFoundError, match="none of the 2 known backups is proven"):
        newest_proven(known_backups([local.repository]))

    local.prove(proven, signer=prover)

    assert newest_proven(known_backups([local.repository])) == proven.manifest.label.text
