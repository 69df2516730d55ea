"""Opens keys, signers and the list of trusted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from backstop.errors import KeyUnavailableError
from backstop.wiring.targets import find_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.watch.keys import WatchedKeys
    from backstop.credentials import CredentialSource
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.kms_signer import KmsSigner
    from backstop.crypto.signing import DocumentSigner, Role, Signer, TrustedSigners
    from backstop.targets import Configuration, KeysConfig, KmsKeys


def open_keyring(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    for_reading: bool = False,
    escrow_key: Path | None = None,
    escrow_password: bytes | None = None,
) -> Keyring:
    """The keys that encrypt and decrypt the target's backups.

    :param for_reading: a restore is never refused for want of an escrow copy; a backup is.
    :param escrow_key: private half of the offline key, when the usual keys are lost; used alone.
    :raises KeyUnavailableError: a key file is missing or unsafe, or no escrow copy has been named.
    """
    keys = _keys(configuration, target_name)
    if escrow_key is not None:
        from backstop.crypto.escrow import EscrowKeyring

        return EscrowKeyring.load_private(escrow_key, password=escrow_password)
    if keys.storage == "local" and keys.escrow is None and not for_reading:
        raise KeyUnavailableError(
            f"key ring {keys.path} exists on this machine alone, as far as keys.{keys.name}.escrow tells: "
            "lose it, and every backup is lost",
            hint="copy it to a safe place and write escrow: {copied_to: …, on: …}, "
            "or escrow: {waived: <why>}, into targets.yaml",
        )
    primary = _primary_keyring(keys, credentials, for_reading=for_reading)
    public_key = getattr(keys.escrow, "public_key", None)
    # A public half opens nothing: its loss must not stop a restore.
    if public_key is None or for_reading:
        return primary
    from backstop.crypto.escrow import EscrowKeyring
    from backstop.crypto.keyring import CombinedKeyring

    return CombinedKeyring(primary, EscrowKeyring.load_public(public_key))


def open_signer(configuration: Configuration, target_name: str, role: Role) -> Signer:
    """The private key that signs ``manifest`` or ``proof`` documents.

    :raises KeyUnavailableError: missing or open to others.
    """
    from backstop.crypto.signing import Signer

    return Signer.load(_keys(configuration, target_name).signing / f"{role}.pem")


def open_evidence_signer(
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> DocumentSigner:
    """What signs evidence: the key of AWS KMS that ``keys`` names for it, else that of proofs.

    :raises KeyUnavailableError: missing, out of reach, or open to others.
    """
    keys = _keys(configuration, target_name)
    if keys.storage == "aws-kms" and keys.evidence_key_arn is not None:
        return open_kms_signer(keys, credentials)
    return open_signer(configuration, target_name, "proof")


def open_kms_signer(keys: KmsKeys, credentials: CredentialSource) -> KmsSigner:
    """:raises KeyUnavailableError: no such key, not one that signs evidence, or we may not use it."""
    from backstop.crypto.kms_signer import KmsSigner

    clients = kms_clients_of(keys, "decrypt", credentials)  # verifiers sign, and they read
    return KmsSigner.open(keys.evidence_key_arn or "", client_for=clients)


def open_trust(configuration: Configuration, target_name: str) -> TrustedSigners:
    """Whose signatures count. :raises KeyUnavailableError: the list is missing or unsafe."""
    from backstop.crypto.signing import TrustedSigners

    return TrustedSigners.load(_keys(configuration, target_name).signing / "trusted.json")


def watched_keys(
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> WatchedKeys:
    """What a watch looks at: no key is loaded, and KMS is not asked yet.

    :raises ConfigurationError: a connection is missing.
    """
    from backstop.commands.watch.keys import WatchedKeys

    keys = _keys(configuration, target_name)
    public_key = getattr(keys.escrow, "public_key", None)
    if keys.storage == "local":
        return WatchedKeys(
            ring=keys.path,
            escrow_key=public_key,
            escrow_said=keys.escrow is not None,
            escrow_copied_on=getattr(keys.escrow, "on", None),
        )
    return WatchedKeys(
        kms_keys=(keys.key_arn, *keys.further_key_arns),
        client_for=kms_clients_of(keys, "inspect", credentials),
        escrow_key=public_key,
    )


def _keys(configuration: Configuration, target_name: str) -> KeysConfig:
    return configuration.keys[find_target(configuration, target_name).keys]


def _primary_keyring(keys: KeysConfig, credentials: CredentialSource, *, for_reading: bool) -> Keyring:
    if keys.storage == "local":
        from backstop.crypto.keyring import LocalKeyring

        return LocalKeyring.load(keys.path)
    from backstop.crypto.kms import KmsKeyring

    clients = kms_clients_of(keys, "decrypt" if for_reading else "encrypt", credentials)
    return KmsKeyring(
        [keys.key_arn, *keys.further_key_arns],
        client_for=clients,
        further_required=keys.further == "required",
    )


def kms_clients_of(
    keys: KmsKeys,
    asked: Literal["encrypt", "decrypt", "inspect", "administer"],
    credentials: CredentialSource,
) -> Callable[[str], Any]:
    """Clients of AWS KMS for a region, with the credentials for what is asked of the keys.

    :raises ConfigurationError: a connection is missing.
    """
    from backstop.assumed_role import session_in_role
    from backstop.crypto.kms import key_region, kms_clients

    conn_id = getattr(keys.connections, asked) or keys.conn_id
    credential = credentials.get(conn_id) if conn_id else None
    if (session := session_in_role(credential, region=key_region(keys.key_arn))) is not None:
        return kms_clients(endpoint_url=keys.endpoint_url, session=session)
    return kms_clients(
        access_key_id=credential.login if credential else None,
        secret_access_key=credential.password if credential else None,
        session_token=credential.extra.get("aws_session_token") if credential else None,
        endpoint_url=keys.endpoint_url,
    )
