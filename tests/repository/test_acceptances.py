"""A drop that somebody looked at stays accepted; nobody else's word counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import IntegrityError, NotFoundError
from backstop.model.acceptance import Acceptance
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json
from backstop.repository.acceptances import Acceptances
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

NOW = STARTED + timedelta(hours=1)


@pytest.fixture
def verifier(tmp_path):
    create_signing_keys(tmp_path / "signing")
    return Signer.load(tmp_path / "signing" / "proof.pem")


@pytest.fixture
def maker(tmp_path, verifier):
    return Maker(
        MemoryStorage(),
        LocalKeyring.create(tmp_path / "keyring.json", STARTED),
        Signer.load(tmp_path / "signing" / "manifest.pem"),
        TrustedSigners.load(tmp_path / "signing" / "trusted.json"),
    )


def test_what_was_accepted_stays_accepted(maker, verifier):
    label = maker.publish().manifest.label
    acceptances = Acceptances(maker.repository)
    assert acceptances.labels() == frozenset()

    acceptances.accept(label, who="ada", now=NOW, signer=verifier)
    acceptances.accept(label, who="bob", now=NOW + timedelta(days=1), signer=verifier)

    assert Acceptances(maker.repository).labels() == {label}


def test_a_backup_that_is_not_there_cannot_be_accepted(maker, verifier):
    with pytest.raises(NotFoundError, match="nothing to accept"):
        Acceptances(maker.repository).accept(
            BackupLabel("20200101T000000Z-dump"), who="ada", now=NOW, signer=verifier
        )


def test_the_writers_key_accepts_nothing(maker):
    label = maker.publish().manifest.label

    with pytest.raises(IntegrityError, match="signs manifests only"):
        Acceptances(maker.repository).accept(label, who="mallory", now=NOW, signer=maker.signer)

    forged = maker.signer.sign(Acceptance(label=label, target="calibrify", who="mallory", accepted_at=NOW))
    maker.storage.put_once(f"calibrify/meta/accepted/{label}.json", canonical_json(forged.to_dict()))
    assert Acceptances(maker.repository).labels() == frozenset()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 99_999])
def test_a_damaged_acceptance_accepts_nothing_and_is_said(maker, body, caplog):
    label = maker.publish().manifest.label
    maker.storage.put_once(f"calibrify/meta/accepted/{label}.json", body)

    assert Acceptances(maker.repository).labels() == frozenset()
    assert "accepts nothing" in caplog.text


def test_the_acceptance_of_one_backup_accepts_no_other(maker, verifier):
    first = maker.publish().manifest.label
    second = maker.publish(started_at=STARTED + timedelta(days=1)).manifest.label
    Acceptances(maker.repository).accept(first, who="ada", now=NOW, signer=verifier)
    body = maker.storage.read(f"calibrify/meta/accepted/{first}.json")

    maker.storage.put_once(f"calibrify/meta/accepted/{second}.json", body)

    assert Acceptances(maker.repository).labels() == {first}
