"""The two kinds of signature there are: Ed25519 by a key in a file, ECDSA P-256 by a key that AWS KMS keeps.

KMS makes P-256 keys in every region and every partition; its Ed25519 keys are young, and sign no more than
4 KiB, or else a digest (Ed25519ph) that few tools verify. Both of ours are verified without KMS, by openssl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = "ed25519"
ECDSA_P256 = "ecdsa-p256-sha256"
ALGORITHMS = (ED25519, ECDSA_P256)


def signature_holds(algorithm: str, public_key: bytes, value: str, signed: bytes) -> bool:
    """Whether this key signed these bytes.

    :param public_key: raw of Ed25519, DER (SubjectPublicKeyInfo) of P-256.
    :param value: in hexadecimal; of ECDSA, DER.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if algorithm == ED25519:
            _ed25519(public_key).verify(bytes.fromhex(value), signed)
        else:
            _p256(public_key).verify(bytes.fromhex(value), signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def public_key_pem(algorithm: str, public_key: bytes) -> str:
    """The same key as openssl reads it. :raises ValueError: it is none of that algorithm."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _ed25519(public_key) if algorithm == ED25519 else _p256(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _ed25519(public_key: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(public_key)


def _p256(public_key: bytes) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise ValueError("the public key is not on the curve P-256")
    return key
