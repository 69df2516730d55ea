"""Only an unchanged document, signed by a trusted key of the right role, is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import IntegrityError, KeyUnavailableError
from backstop.model.backup import BackupLabel, Manifest, Signature, StoredObject
from backstop.model.proof import Proof
from tests.crypto.samples import LABEL, NOW

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def manifest() -> Manifest:
    stored = StoredObject("calibrify/data/x", "file", "toc.dat", 1, 2, "a" * 64, "b" * 64)
    return Manifest(
        label=BackupLabel(LABEL),
        target="calibrify",
        repository_id="r1",
        attempt="a1",
        epoch=1,
        started_at=NOW,
        snapshot_at=NOW,
        finished_at=NOW,
        system_id="7",
        timeline=1,
        server_version=180004,
        database="calibrify",
        tools={"pg_dump": "18.4"},
        keys=("backstop-local/k1",),
        objects=(stored,),
    )


@pytest.fixture
def proof() -> Proof:
    return Proof(
        label=BackupLabel(LABEL),
        target="calibrify",
        repository_id="r1",
        manifest_sha256="c" * 64,
        started_at=NOW,
        finished_at=NOW,
        matched=False,
        differences=("table public.equipment: 3 rows in the backup, 2 restored",),
        durations={"total": 1.5},
        checks={"tables": 9},
        server_version=180004,
        isolation="none",
        host="worker-1",
    )


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_signing_keys(tmp_path / "signing")
    return tmp_path / "signing"


def test_a_list_of_signers_that_is_nested_without_end_is_malformed(keys: Path) -> None:
    (keys / "trusted.json").write_text("[" * 100_000 + "]" * 100_000)

    with pytest.raises(KeyUnavailableError, match="is malformed: RecursionError"):
        TrustedSigners.load(keys / "trusted.json")


def test_signed_documents_are_believed_after_a_trip_through_json(
    manifest: Manifest, proof: Proof, keys: Path
) -> None:
    trusted = TrustedSigners.load(keys / "trusted.json")

    signed_manifest = Signer.load(keys / "manifest.pem").sign(manifest)
    signed_proof = Signer.load(keys / "proof.pem").sign(proof)

    trusted.verify(Manifest.from_dict(json.loads(json.dumps(signed_manifest.to_dict()))), "manifest")
    trusted.verify(Proof.from_dict(json.loads(json.dumps(signed_proof.to_dict()))), "proof")


def test_an_unsigned_document_is_refused(manifest: Manifest, keys: Path) -> None:
    with pytest.raises(IntegrityError, match=f"manifest {LABEL} of calibrify is not signed"):
        TrustedSigners.load(keys / "trusted.json").verify(manifest, "manifest")


def test_an_unknown_signer_is_refused(manifest: Manifest, keys: Path, tmp_path: Path) -> None:
    stranger = Signer.create(tmp_path / "stranger.pem")

    with pytest.raises(
        IntegrityError, match=f"{LABEL} of calibrify is signed by the unknown key {stranger.key_id}"
    ):
        TrustedSigners.load(keys / "trusted.json").verify(stranger.sign(manifest), "manifest")


def test_the_writers_key_cannot_sign_proofs_nor_the_verifiers_manifests(
    manifest: Manifest, proof: Proof, keys: Path
) -> None:
    trusted = TrustedSigners.load(keys / "trusted.json")
    writer, verifier = (Signer.load(keys / f"{role}.pem") for role in ("manifest", "proof"))

    with pytest.raises(IntegrityError, match="which signs manifests only"):
        trusted.verify(writer.sign(proof), "proof")
    with pytest.raises(IntegrityError, match="which signs proofs only"):
        trusted.verify(verifier.sign(manifest), "manifest")


@pytest.mark.parametrize(
    "change",
    [
        {"target": "lims"},
        {"database": "other"},
        {"objects": ()},
        {"epoch": 2},
        {"keys": ("other",)},
        {"label": BackupLabel("20261123T010001Z-dump")},
    ],
)
def test_a_manifest_changed_after_signing_is_refused(change: dict, manifest: Manifest, keys: Path) -> None:
    altered = replace(Signer.load(keys / "manifest.pem").sign(manifest), **change)

    with pytest.raises(
        IntegrityError, match=f"manifest {altered.label} of {altered.target} was changed after key"
    ):
        TrustedSigners.load(keys / "trusted.json").verify(altered, "manifest")


def test_a_failed_proof_cannot_be_turned_into_a_passed_one(proof: Proof, keys: Path) -> None:
    altered = replace(Signer.load(keys / "proof.pem").sign(proof), matched=True, differences=())

    with pytest.raises(IntegrityError, match="was changed after key"):
        TrustedSigners.load(keys / "trusted.json").verify(altered, "proof")


@pytest.mark.parametrize("value", ["", "zz", "00" * 64, "é"])
def test_a_signature_that_is_none_is_refused(value: str, manifest: Manifest, keys: Path) -> None:
    signer = Signer.load(keys / "manifest.pem")
    forged = manifest.with_signature(Signature(key=signer.key_id, value=value))

    with pytest.raises(IntegrityError, match="was changed after key"):
        TrustedSigners.load(keys / "trusted.json").verify(forged, "manifest")


def test_private_signing_keys_are_for_their_owner_only(keys: Path) -> None:
    for role in ("manifest", "proof"):
        path = keys / f"{role}.pem"
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)
        with pytest.raises(KeyUnavailableError, match="open to other users"):
            Signer.load(path)


def test_something_else_than_a_signing_key_is_refused_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "manifest.pem"
    path.touch(0o600)
    path.write_text("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")

    with pytest.raises(KeyUnavailableError, match="not an unencrypted Ed25519 private key") as caught:
        Signer.load(path)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_a_signer_does_not_show_its_key(keys: Path) -> None:
    assert "private" not in repr(Signer.load(keys / "manifest.pem")).lower()


def test_trusted_signers_that_others_can_change_are_refused(keys: Path) -> None:
    (keys / "trusted.json").chmod(0o666)

    with pytest.raises(KeyUnavailableError, match="can be changed by other users"):
        TrustedSigners.load(keys / "trusted.json")


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 2, "signers": []}', '{"format": 1, "signers": [{"key": "0"}]}', '{"format": 1}'],
)
def test_malformed_trusted_signers_are_refused(content: str, keys: Path) -> None:
    (keys / "trusted.json").write_text(content)

    with pytest.raises(KeyUnavailableError, match=r"trusted\.json is malformed"):
        TrustedSigners.load(keys / "trusted.json")


def test_missing_trusted_signers_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match=r"trusted\.json cannot be read: No such file"):
        TrustedSigners.load(tmp_path / "trusted.json")


def test_signing_keys_are_never_made_twice_but_a_half_made_set_is_finished(keys: Path) -> None:
    before = (keys / "manifest.pem").read_bytes()
    with pytest.raises(KeyUnavailableError, match=r"trusted\.json already exists"):
        create_signing_keys(keys)

    (keys / "trusted.json").unlink()
    (keys / "proof.pem").unlink()
    create_signing_keys(keys)

    assert (keys / "manifest.pem").read_bytes() == before
    assert TrustedSigners.load(keys / "trusted.json").to_dict()["format"] == 1
