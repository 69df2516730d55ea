"""Evidence signed by AWS KMS, against moto's server: a MOCK of KMS, whose signatures are real.

It does not refuse disabled keys or callers without a grant: what KMS answers then is planted in the client.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from backstop.crypto.kms_signer import KmsSigner
from backstop.crypto.signing import Signer, TrustedSigner, TrustedSigners, create_signing_keys, trust_signer
from backstop.errors import (
    ConfigurationError,
    IntegrityError,
    KeyServiceUnavailableError,
    KeyUnavailableError,
)
from backstop.model.canonical import canonical_json
from backstop.model.evidence import BEFORE_THE_FIRST, EvidenceKind, EvidenceRecord
from tests.crypto.samples import NOW
from tests.crypto.test_kms import UNKNOWN_ARN, client_for, kms_clients_of_nobody, refusing
from tests.mocked_kms import new_signing_key, sign_digests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["client_for"]

RECORD = EvidenceRecord(
    target="calibrify",
    repository_id="r1",
    number=1,
    kind=EvidenceKind.DRILL,
    subject="drill-1",
    happened_at=NOW,
    recorded_at=NOW,
    previous_sha256=BEFORE_THE_FIRST,
    document={"passed": True, "remarks": "größer als 4 KiB: " + "x" * 5000},
)


@pytest.fixture(autouse=True)
def mock_signs_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_digests(monkeypatch)


@pytest.fixture
def signer(client_for: Callable[[str], Any]) -> KmsSigner:
    return KmsSigner.open(new_signing_key(client_for), client_for=client_for)


def test_a_record_of_any_size_that_kms_signed_is_believed_without_kms(signer: KmsSigner) -> None:
    signed = signer.sign(RECORD)

    trust = TrustedSigners({signer.key_id: signer.trusted})
    trust.verify(signed, role="proof")
    assert EvidenceRecord.from_dict(json.loads(canonical_json(signed.to_dict()))) == signed
    with pytest.raises(IntegrityError, match="was changed after key"):
        trust.verify(replace(signed, document={"passed": False}), role="proof")
    with pytest.raises(IntegrityError, match="signs proofs only"):
        trust.verify(signed, role="manifest")


def test_kms_is_told_that_it_gets_a_digest(client_for: Callable[[str], Any]) -> None:
    seen: list[Any] = []

    def watched(region: str) -> Any:
        client = client_for(region)
        client.meta.events.register("provide-client-params.kms.Sign", lambda params, **_: seen.append(params))
        return client

    KmsSigner.open(new_signing_key(client_for), client_for=watched).sign(RECORD)

    assert [(len(one["Message"]), one["MessageType"], one["SigningAlgorithm"]) for one in seen] == [
        (32, "DIGEST", "ECDSA_SHA_256")
    ]


def test_a_signature_under_another_algorithms_name_is_not_believed(signer: KmsSigner) -> None:
    signed = signer.sign(RECORD)
    assert signed.signature is not None

    renamed = signed.with_signature(replace(signed.signature, algorithm="ed25519"))

    with pytest.raises(IntegrityError, match="was changed after key"):
        TrustedSigners({signer.key_id: signer.trusted}).verify(renamed, role="proof")


def test_the_list_of_trusted_signers_takes_the_key_and_keeps_the_others(
    signer: KmsSigner, tmp_path: Path
) -> None:
    create_signing_keys(tmp_path)
    before = TrustedSigners.load(tmp_path / "trusted.json").signers

    assert trust_signer(tmp_path, signer.key_id, signer.trusted)
    assert not trust_signer(tmp_path, signer.key_id, signer.trusted)

    trust = TrustedSigners.load(tmp_path / "trusted.json")
    assert trust.signers == {**before, signer.key_id: signer.trusted}
    assert (tmp_path / "trusted.json").stat().st_mode & 0o777 == 0o644
    trust.verify(signer.sign(RECORD), role="proof")
    trust.verify(Signer.load(tmp_path / "proof.pem").sign(RECORD), role="proof")


def test_a_list_that_names_an_algorithm_we_do_not_know_is_refused(signer: KmsSigner, tmp_path: Path) -> None:
    create_signing_keys(tmp_path)
    odd = TrustedSigner("proof", signer.public_key, "rsa")
    trust_signer(tmp_path, signer.key_id, odd)

    with pytest.raises(KeyUnavailableError, match="algorithm 'rsa'"):
        TrustedSigners.load(tmp_path / "trusted.json")


def test_openssl_verifies_what_kms_signed(signer: KmsSigner, tmp_path: Path) -> None:
    signed = signer.sign(RECORD)
    assert signed.signature is not None
    (tmp_path / "key.pem").write_text(signer.trusted.pem)
    (tmp_path / "text").write_bytes(canonical_json(signed.signed_part()))
    (tmp_path / "signature").write_bytes(bytes.fromhex(signed.signature.value))

    subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "text"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P384"])
def test_a_key_of_another_kind_is_refused_before_anything_is_signed(
    client_for: Callable[[str], Any], spec: str
) -> None:
    arn = new_signing_key(client_for, spec)

    with pytest.raises(KeyUnavailableError, match=f"{arn} is for SIGN_VERIFY with {spec}") as caught:
        KmsSigner.open(arn, client_for=client_for)

    assert "--key-spec ECC_NIST_P256" in caught.value.hint


def test_a_key_for_encryption_is_no_key_for_evidence(client_for: Callable[[str], Any]) -> None:
    arn = client_for("eu-central-1").create_key()["KeyMetadata"]["Arn"]

    with pytest.raises(KeyUnavailableError):
        KmsSigner.open(arn, client_for=client_for)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", KeyUnavailableError),
        ("DisabledException", KeyUnavailableError),
        ("KMSInvalidStateException", KeyUnavailableError),
        ("ThrottlingException", KeyServiceUnavailableError),
        ("KMSInternalException", KeyServiceUnavailableError),
    ],
)
def test_what_kms_answers_to_sign_decides_whether_time_may_heal_it(
    code: str, error: type[Exception], client_for: Callable[[str], Any]
) -> None:
    signer = KmsSigner.open(new_signing_key(client_for), client_for=refusing(client_for, "Sign", code))

    with pytest.raises(error, match=code) as caught:
        signer.sign(RECORD)

    assert type(caught.value) is error


def test_a_kms_that_does_not_answer_is_named_and_may_be_tried_again() -> None:
    with pytest.raises(KeyServiceUnavailableError, match=UNKNOWN_ARN) as caught:
        KmsSigner.open(UNKNOWN_ARN, client_for=kms_clients_of_nobody())
    assert caught.value.retryable


def test_an_alias_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not the ARN of a KMS key"):
        KmsSigner.open("alias/evidence", client_for=kms_clients_of_nobody())
