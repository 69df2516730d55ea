"""Data keys of the AWS Encryption SDK, wrapped and opened by the key encryption keys of a key ring.

This is the one place where the SDK asks for keys. Its own master key providers stop at the first
surprise (a damaged wrapped key, a KMS that does not answer); here every key of the ring gets its try,
and the outcome says whether the key is out of reach or the message is damaged.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import Any

from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite
from aws_encryption_sdk.materials_managers import DecryptionMaterials, EncryptionMaterials
from aws_encryption_sdk.materials_managers.base import CryptoMaterialsManager
from aws_encryption_sdk.structures import EncryptedDataKey
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidTag

from backstop.crypto.key_encryption import ESCROW_PROVIDER, LOCAL_PROVIDER, KeyEncryptionKey, Keyring
from backstop.errors import IntegrityError, KeyServiceUnavailableError, KeyUnavailableError
from backstop.model.key_policy import CHECK_PURPOSE

log = logging.getLogger(__name__)

# What opening or wrapping a data key raises; anything else is a mistake of ours and passes through.
_KEY_ERRORS = (AWSEncryptionSDKClientError, ClientError, BotoCoreError, InvalidTag, ValueError, struct.error)

# KMS: "the ciphertext is damaged, or its encryption context is another" (API reference, Decrypt).
_DAMAGED_CODES = {"InvalidCiphertextException"}
_REFUSED_CODES = {
    "AccessDeniedException", "DisabledException", "KMSInvalidStateException", "NotFoundException",
    "InvalidKeyUsageException", "IncorrectKeyException", "InvalidGrantTokenException",
    "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException",
    "InvalidSignatureException", "MissingAuthenticationToken", "IncompleteSignature",
}  # fmt: skip
_AES_GCM_SUFFIX_BYTES = 4 + 4 + 12  # tag length, IV length, IV: what the SDK appends to a raw key's name


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why one key did not wrap or open."""

    key_id: str
    reason: str
    damaged: bool
    retryable: bool

    def __str__(self) -> str:
        return f"{self.key_id} ({self.reason})"


class KeyringMaterials(CryptoMaterialsManager):  # type: ignore[misc]
    """Cryptographic materials manager over a :class:`~backstop.crypto.keyring.Keyring`.

    :param name: the object this is about, for errors.
    """

    def __init__(self, keyring: Keyring, *, name: str) -> None:
        self._keys = keyring.encryption_keys()
        self._name = name
        self.wrapped_by: tuple[str, ...] = ()
        """Ids of the keys that wrapped the data key; fewer than the ring's when an optional one failed."""

    def get_encryption_materials(self, request: Any) -> EncryptionMaterials:
        """A fresh data key, wrapped by every key of the ring that wraps.

        :raises KeyUnavailableError: a required key, or every key, is out of reach.
        """
        data_key: Any = None
        wrapped: dict[str, Any] = {}
        refusals: list[_Refusal] = []
        for key in self._keys:
            if not key.wraps:
                continue
            try:
                if data_key is None:
                    data_key = key.master_key.generate_data_key(request.algorithm, request.encryption_context)
                    wrapped[key.id] = EncryptedDataKey(data_key.key_provider, data_key.encrypted_data_key)
                else:
                    wrapped[key.id] = key.master_key.encrypt_data_key(
                        data_key, request.algorithm, request.encryption_context
                    )
            except _KEY_ERRORS as error:
                refusal = _explain(key, error)
                if key.required:
                    raise _unavailable(f"{self._name} cannot be encrypted", [refusal]) from error
                # Not silent: the key is missing from `wrapped_by`, hence from the manifest's keys.
                log.warning("%s is written without the optional key %s", self._name, refusal)
                refusals.append(refusal)
        if data_key is None:
            raise _unavailable(f"{self._name} cannot be encrypted", refusals)
        self.wrapped_by = tuple(wrapped)
        return EncryptionMaterials(
            algorithm=request.algorithm,
            data_encryption_key=data_key,
            encrypted_data_keys=set(wrapped.values()),
            encryption_context=request.encryption_context,
            signing_key=None,
        )

    def decrypt_materials(self, request: Any) -> DecryptionMaterials:
        """The data key, from whichever key of the ring opens it first, in the ring's order.

        :raises KeyUnavailableError: no key of the ring opens it, or the one that could is out of reach.
        :raises IntegrityError: a key of the ring should open it, but the wrapped key is damaged.
        """
        refusals: list[_Refusal] = []
        for key in self._keys:
            for wrapped in request.encrypted_data_keys:
                if not key.opens or not key.master_key.owns_data_key(wrapped):
                    continue
                try:
                    data_key = key.master_key.decrypt_data_key(
                        wrapped, request.algorithm, request.encryption_context
                    )
                except _KEY_ERRORS as error:
                    refusals.append(_explain(key, error))
                else:
                    return DecryptionMaterials(data_key=data_key, verification_key=None)
        if refusals and all(refusal.damaged for refusal in refusals):
            raise IntegrityError(
                f"{self._name} is damaged: its data key, wrapped by {refusals[0].key_id}, does not open",
                hint="read it from another repository, or choose another backup",
            )
        if refusals:
            raise _unavailable(f"{self._name} cannot be opened", refusals)
        raise KeyUnavailableError(
            f"no key of the ring opens {self._name}: it was wrapped by "
            f"{', '.join(sorted(map(key_id_of, request.encrypted_data_keys))) or 'no key'}, "
            f"the ring opens {', '.join(key.id for key in self._keys if key.opens) or 'nothing'}",
            hint="bring that key (the escrow copy, an older copy of the ring) and name it under `keys`",
        )


def _unavailable(what: str, refusals: list[_Refusal]) -> KeyUnavailableError:
    usable = [refusal for refusal in refusals if not refusal.damaged] or refusals
    reasons = "; ".join(str(refusal) for refusal in usable) or "the ring has no key that wraps"
    if any(refusal.retryable for refusal in usable):
        return KeyServiceUnavailableError(f"{what}: {reasons}", hint="try again when the key service answers")
    return KeyUnavailableError(
        f"{what}: {reasons}", hint="check the key's state and policy, and the credentials that use it"
    )


def _explain(key: KeyEncryptionKey, error: Exception) -> _Refusal:
    # The SDK hides what KMS said in the cause of its own exception.
    cause = error.__cause__ if isinstance(error.__cause__, (ClientError, BotoCoreError)) else error
    if isinstance(cause, ClientError):
        code = cause.response["Error"]["Code"]
        damaged = code in _DAMAGED_CODES
        return _Refusal(key.id, code, damaged=damaged, retryable=not damaged and code not in _REFUSED_CODES)
    if isinstance(cause, BotoCoreError):
        # Missing or malformed credentials do not heal; connections do.
        connection = type(cause).__name__.endswith(("ConnectionError", "TimeoutError", "ClosedError"))
        return _Refusal(key.id, type(cause).__name__, damaged=False, retryable=connection)
    return _Refusal(key.id, type(cause).__name__, damaged=True, retryable=False)


def key_id_of(wrapped: Any) -> str:
    """The id, as manifests write it, of the key that wrapped this data key."""
    provider = wrapped.key_provider.provider_id
    info = wrapped.key_provider.key_info
    if provider == LOCAL_PROVIDER:
        info = info[:-_AES_GCM_SUFFIX_BYTES]
    text = info.decode("utf-8", "backslashreplace")
    return f"{provider}/{text}" if provider in (LOCAL_PROVIDER, ESCROW_PROVIDER) else text


def check_materials(keyring: Keyring, *, opening: bool) -> tuple[str, ...]:
    """See :meth:`backstop.crypto.keyring.Keyring.check`."""
    algorithm = AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    context = {"purpose": CHECK_PURPOSE}
    failed: list[_Refusal] = []
    worked = 0
    for key in keyring.encryption_keys():
        if not key.wraps:
            continue
        try:
            data_key = key.master_key.generate_data_key(algorithm, context)
            if opening and key.opens:
                wrapped = EncryptedDataKey(data_key.key_provider, data_key.encrypted_data_key)
                key.master_key.decrypt_data_key(wrapped, algorithm, context)
        except _KEY_ERRORS as error:
            failed.append(_explain(key, error))
            if key.required:
                raise _unavailable("the key ring cannot be used", failed[-1:]) from error
        else:
            worked += 1
    if not worked:
        raise _unavailable("the key ring cannot be used", failed)
    return tuple(refusal.key_id for refusal in failed)
