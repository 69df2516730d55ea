"""What a repository is believed, and what junk in it can and cannot do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.cli.session import newest
from backstop.commands.proof.work import Policies, unverified
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel
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


@pytest.mark.parametrize(
    "changed",
    [
        {"database": 7},
        {"database": "\0"},
        {"keys": (1,)},
        {"epoch": "1"},
        {"server_version": 2**40},
        {"timeline": []},
        {"start_lsn": 7},
        {"summary": {"rows": [1]}},
        {"summary": {"warning": "\0"}},
        {"tools": {"pg_dump": {}}},
        {"not_included": (None,)},
        {"finished_at": datetime.max.replace(tzinfo=timezone.utc)},
    ],
    ids=str,
)
def test_a_manifest_that_our_key_signed_over_values_of_other_kinds_hides_no_other(maker: Maker, changed):
    good = maker.publish().manifest
    forged = replace(good, label=BackupLabel("20261124T010000Z-dump"), **changed)
    maker.catalog.publish(forged, signer=maker.signer, ensure_held=lambda: None)

    found = maker.catalog.backups()

    assert [one.manifest for one in found.backups] == [good]
    assert [one.label for one in found.unreadable] == [forged.label]


@pytest.mark.parametrize(
    "changed",
    [{"stored_bytes": "1"}, {"plain_bytes": 2**63}, {"name": None}, {"key": "calibrify/data/\0"}],
    ids=str,
)
def test_neither_does_one_that_lists_objects_of_no_sense(maker: Maker, changed):
    good = maker.publish().manifest
    objects = (replace(good.objects[0], **changed),)
    forged = replace(good, label=BackupLabel("20261124T010000Z-dump"), objects=objects)
    maker.catalog.publish(forged, signer=maker.signer, ensure_held=lambda: None)

    assert [one.manifest for one in maker.catalog.backups().backups] == [good]


@pytest.mark.parametrize(
    "changed", [{"matched": "no"}, {"durations": {"total": "x"}}, {"checks": {"a": []}}], ids=str
)
def test_a_proof_that_our_key_signed_over_values_of_other_kinds_proves_nothing(
    maker: Maker, verifier: Signer, changed
):
    published = maker.publish()
    true = maker.prove(published, signer=verifier)
    maker.catalog.record_proof(
        replace(true, finished_at=true.finished_at + timedelta(1), **changed), signer=verifier
    )

    found = maker.catalog.verifications(published)

    assert found.proofs == (true,)
    assert len(found.unreadable) == 1


def test_a_repository_that_lost_its_identity_gets_no_new_one_while_it_holds_backups(maker: Maker):
    published = maker.publish()
    maker.storage.delete(REPOSITORY_KEY)
    catalog = Catalog(maker.storage, "calibrify", trust=maker.trust)

    with pytest.raises(IntegrityError, match=f"{REPOSITORY_KEY} is gone") as caught:
        catalog.repository_id(create=True)

    assert published.manifest.repository_id in caught.value.hint
    assert maker.storage.stat(REPOSITORY_KEY) is None


@pytest.mark.parametrize("body", [b"[" * 100_000, b"?"], ids=["deep", "text"])
def test_a_damaged_manifest_does_not_hide_that_a_repository_lost_its_identity(maker: Maker, body: bytes):
    maker.storage.put_once("calibrify/meta/manifests/20200101T000000Z-dump.json", body)
    maker.storage.delete(REPOSITORY_KEY)
    catalog = Catalog(maker.storage, "calibrify", trust=maker.trust)

    with pytest.raises(IntegrityError, match=f"{REPOSITORY_KEY} is gone"):
        catalog.repository_id(create=True)


@pytest.mark.parametrize("value", ["1e999", '"\\ud800"'])
def test_a_manifest_within_another_document_that_has_no_canonical_form_is_malformed(maker: Maker, value: str):
    body = f'{{"manifest": {{"x": {value}}}}}'.encode()

    with pytest.raises(IntegrityError, match="malformed"):
        maker.catalog.manifest_within(body, maker.publish().manifest.label, where="a mark")
