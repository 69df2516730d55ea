"""A signing key that AWS KMS keeps: it never leaves it, and each use is in its audit log.

Whoever takes a worker over can have things signed while it lasts, and each time is on record outside of
that worker; a key in a file could be carried away and used for years.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.crypto.kms import key_region
from backstop.crypto.signature_algorithms import ECDSA_P256
from backstop.crypto.signing import TrustedSigner, signing_key_id
from backstop.errors import KeyServiceUnavailableError, KeyUnavailableError
from backstop.model.backup import Signature
from backstop.model.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.crypto.signing import Document

_KIND, _SPEC, _SIGNING = "SIGN_VERIFY", "ECC_NIST_P256", "ECDSA_SHA_256"
_REFUSALS = frozenset(
    {
        "AccessDeniedException", "DisabledException", "IncorrectKeyException", "InvalidArnException",
        "InvalidClientTokenId", "InvalidKeyUsageException", "KMSInvalidStateException", "NotFoundException",
        "UnrecognizedClientException", "UnsupportedOperationException", "ValidationException",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KmsSigner:
    """An asymmetric key of KMS (``SIGN_VERIFY``, ``ECC_NIST_P256``) that signs evidence.

    :param public_key: DER, as KMS gives it.
    """

    arn: str
    public_key: bytes
    _client: Any = field(repr=False)

    @classmethod
    def open(cls, arn: str, *, client_for: Callable[[str], Any]) -> KmsSigner:
        """Needs ``kms:GetPublicKey``.

        :param client_for: see :func:`~backstop.crypto.kms.kms_clients`.
        :raises KeyUnavailableError: no such key, not for signing, of another kind, or we may not use it.
        :raises KeyServiceUnavailableError: KMS does not answer.
        """
        client = client_for(key_region(arn))
        found = _ask(arn, "kms:GetPublicKey", lambda: client.get_public_key(KeyId=arn))
        kind, spec = found.get("KeyUsage"), found.get("KeySpec") or found.get("CustomerMasterKeySpec")
        if (kind, spec) != (_KIND, _SPEC):
            raise KeyUnavailableError(
                f"key {arn} is for {kind} with {spec}: it signs no evidence",
                hint=f"make one: aws kms create-key --key-usage {_KIND} --key-spec {_SPEC}",
            )
        return cls(arn, found["PublicKey"], client)

    @property
    def key_id(self) -> str:
        return signing_key_id(self.public_key)

    @property
    def trusted(self) -> TrustedSigner:
        """What ``trusted.json`` says of it."""
        return TrustedSigner("proof", self.public_key, ECDSA_P256)

    def sign(self, document: Document) -> Document:
        """The same document, signed. Needs ``kms:Sign``.

        :raises KeyUnavailableError: KMS refuses; :raises KeyServiceUnavailableError: it does not answer.
        """
        # The digest: KMS takes no message of more than 4 KiB.
        digest = hashlib.sha256(canonical_json(document.signed_part())).digest()
        answer = _ask(
            self.arn,
            "kms:Sign",
            lambda: self._client.sign(
                KeyId=self.arn, Message=digest, MessageType="DIGEST", SigningAlgorithm=_SIGNING
            ),
        )
        signature = Signature(key=self.key_id, value=answer["Signature"].hex(), algorithm=ECDSA_P256)
        return document.with_signature(signature)


def _ask(arn: str, permission: str, call: Callable[[], Any]) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = f"KMS signs nothing with key {arn} ({code})"
        if code in _REFUSALS:
            hint = f"see that the key is enabled, for signing, and that its policy lets us call {permission}"
            raise KeyUnavailableError(message, hint=hint) from error
        raise KeyServiceUnavailableError(message, hint="try again when the key service answers") from error
    except BotoCoreError as error:
        raise KeyServiceUnavailableError(
            f"KMS does not answer about key {arn} ({type(error).__name__})",
            hint="check the network, the endpoint and the credentials of `keys` in targets.yaml",
        ) from error
