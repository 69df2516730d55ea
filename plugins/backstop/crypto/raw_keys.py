"""Keys held by us as the AWS Encryption SDK's raw master keys (its raw AES and raw RSA key providers)."""

from __future__ import annotations

from typing import Any

from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey

from backstop.crypto.key_encryption import ESCROW_PROVIDER, LOCAL_PROVIDER


def aes_master_key(name: str, key: bytes) -> Any:
    """AES-256-GCM, 12-byte IV, 16-byte tag; the encryption context is authenticated with the data key."""
    wrapping_key = WrappingKey(
        WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, key, EncryptionKeyType.SYMMETRIC
    )
    return RawMasterKey(key_id=name, provider_id=LOCAL_PROVIDER, wrapping_key=wrapping_key)


def rsa_master_key(name: str, pem: bytes, *, private: bool, password: bytes | None = None) -> Any:
    """RSA-OAEP with SHA-256. The context is not bound to the wrapped key, but to the message's header."""
    kind = EncryptionKeyType.PRIVATE if private else EncryptionKeyType.PUBLIC
    wrapping_key = WrappingKey(WrappingAlgorithm.RSA_OAEP_SHA256_MGF1, pem, kind, password)
    return RawMasterKey(key_id=name, provider_id=ESCROW_PROVIDER, wrapping_key=wrapping_key)
