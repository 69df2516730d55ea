"""moto's server as AWS KMS for signing: a MOCK, made to do what KMS documents of digests.

moto takes ``MessageType=DIGEST`` and hashes the digest once more all the same ("not yet implemented"). KMS
signs it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from moto.kms import models
from moto.kms.utils import ECDSAPrivateKey

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def sign_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the mock signs digests, and refuses messages of more than 4096 bytes, as KMS does."""

    def sign(key: Any, message: bytes, signing_algorithm: str) -> bytes:
        if len(message) > 4096:
            raise models.ValidationException("Member must have length less than or equal to 4096")
        assert signing_algorithm == "ECDSA_SHA_256"
        algorithm = ec.ECDSA(Prehashed(SHA256())) if len(message) == 32 else ec.ECDSA(SHA256())
        signature: bytes = key.private_key.sign(message, algorithm)
        return signature

    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign)


def new_signing_key(client_for: Callable[[str], Any], spec: str = "ECC_NIST_P256") -> str:
    """The ARN of a key that signs."""
    made = client_for("eu-central-1").create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)
    arn: str = made["KeyMetadata"]["Arn"]
    return arn
