"""What a repository is believed, and what junk in it can and cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.cli.session import newest
from backstop.commands.proof.work import Policies, unverified
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import IntegrityError
from backstop.repository.catalog import REPOSITORY_KEY, Catalog
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def signing(tmp_path: Path) -> Path:
    create_signing_keys(tmp_path / "signing")
    return tmp_path / "signing"


@pytest.fixture
def maker(tmp_path: Path, signing: Path) -> Maker:
    return Maker(
        MemoryStorage(),
        LocalKeyring.create(tmp_path / "keyring.json", STARTED),
        Signer.load(signing / "manifest.pem"),
        TrustedSigners.load(signing / "trusted.json"),
    )


@pytest.fixture
def verifier(signing: Path) -> Signer:
    return Signer.load(signing / "proof.pem")


@pytest.mark.parametrize("junk", [b"", b"[]", b"{}", b'{"label": 7, "signature": "x"}', b"\xff" * 40])
def test_a_proof_that_is_junk_makes_a_backup_unproven_and_hides_neither_it_nor_the_others(
    maker: Maker, verifier: Signer, junk: bytes
):
    published = maker.publish()
    maker.prove(published, signer=verifier)
    assert maker.catalog.verifications(published).proven
    key = f"calibrify/meta/proofs/{published.manifest.label}/junk.json"
    maker.storage.put_once(key, junk)

    found = maker.catalog.verifications(published)

    assert not found.proven
    assert len(found.proofs) == 1
    assert key in found.unreadable[0].message
    assert newest(maker.repository, proven=False) == published.manifest.label
    assert unverified([maker.repository], Policies(dumps="each")) == []
    with pytest.raises(IntegrityError, match=r"junk\.json"):
        maker.catalog.proofs(published)


def test_a_proof_signed_by_the_writer_proves_nothing(maker: Maker):
    published = maker.publish()
    maker.prove(published, signer=maker.signer)

    found = maker.catalog.verifications(published)

    assert found.proofs == ()
    assert "signs manifests only" in found.unreadable[0].message


def test_a_repository_that_lost_its_identity_gets_no_new_one_while_it_holds_backups(maker: Maker):
    published = maker.publish()
    maker.storage.delete(REPOSITORY_KEY)
    catalog = Catalog(maker.storage, "calibrify", trust=maker.trust)

    with pytest.raises(IntegrityError, match=f"{REPOSITORY_KEY} is gone") as caught:
        catalog.repository_id(create=True)

    assert published.manifest.repository_id in caught.value.hint
    assert maker.storage.stat(REPOSITORY_KEY) is None


def test_a_repository_that_lost_its_identity_and_whose_manifest_is_damaged_gets_no_new_one(maker: Maker):
    maker.storage.put_once("calibrify/meta/manifests/20200101T000000Z-dump.json", b"?")
    maker.storage.delete(REPOSITORY_KEY)
    catalog = Catalog(maker.storage, "calibrify", trust=maker.trust)

    with pytest.raises(IntegrityError, match=f"{REPOSITORY_KEY} is gone"):
        catalog.repository_id(create=True)
