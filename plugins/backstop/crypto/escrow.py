"""An offline RSA key as the last resort: its public half wraps every data key, its private half is in a safe.

A key that exists only on the machine dies with it. The machine never holds the private half; whoever
restores after everything else is gone brings it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from backstop.crypto.key_encryption import ESCROW_PROVIDER, KeyEncryptionKey
from backstop.crypto.key_files import read_key_file
from backstop.crypto.keyring import check_keys
from backstop.errors import KeyUnavailableError
from backstop.model.canonical import sha256_hex

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LEAST_KEY_BITS = 4096
_KEY_ID_DIGITS = 16


class EscrowKeyring:
    """One RSA key (OAEP, SHA-256). Combine it with a primary ring; alone it opens what it wrapped.

    Its id is ``backstop-escrow/`` and the first 16 digits of the SHA-256 of the public half (DER), so the
    manifest says which key to fetch from the safe.
    """

    def __init__(self, key_id: str, master_key: Any, *, opens: bool) -> None:
        self._key = KeyEncryptionKey(f"{ESCROW_PROVIDER}/{key_id}", master_key, opens=opens)

    @classmethod
    def load_public(cls, path: Path) -> EscrowKeyring:
        """The public half: wraps, opens nothing.

        :raises KeyUnavailableError: missing, not RSA of 4096 bits or more, or writable by others.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        from backstop.crypto.raw_keys import rsa_master_key

        pem = _read_public(path)
        try:
            key: Any = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        key_id = _escrow_key_id(key, path)
        return cls(key_id, rsa_master_key(key_id, pem, private=False), opens=False)

    @classmethod
    def load_private(cls, path: Path, *, password: bytes | None = None) -> EscrowKeyring:
        """The private half, for a restore: wraps and opens.

        :raises KeyUnavailableError: missing, open to others, the wrong password, or not such a key.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        from backstop.crypto.raw_keys import rsa_master_key

        pem = read_key_file(path, what="escrow key")
        try:
            private_key: Any = load_pem_private_key(pem, password=password)
        except TypeError:  # a password is missing, or given for a key that has none
            raise KeyUnavailableError(
                f"escrow key {path} {'has no' if password else 'needs a'} password",
                hint="give the password exactly when the key file is encrypted",
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise KeyUnavailableError(
                f"escrow key {path} does not open",
                hint="check the password, and that the file is the private key in PEM",
            ) from None
        key_id = _escrow_key_id(private_key.public_key(), path)
        return cls(key_id, rsa_master_key(key_id, pem, private=True, password=password), opens=True)

    @property
    def key_ids(self) -> tuple[str, ...]:
        return (self._key.id,)

    def encryption_keys(self) -> tuple[KeyEncryptionKey, ...]:
        return (self._key,)

    def check(self, *, opening: bool = True) -> tuple[str, ...]:
        return check_keys(self, opening=opening)


def _escrow_key_id(key: Any, path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_KEY_BITS:
        raise KeyUnavailableError(
            f"escrow key {path} is not an RSA key of at least {LEAST_KEY_BITS} bits in PEM",
            hint="make one offline: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096, "
            "then openssl pkey -pubout",
        )
    public_key: RSAPublicKey = key
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256_hex(der)[:_KEY_ID_DIGITS]


def _read_public(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            pem = file.read()
    except OSError as error:
        raise KeyUnavailableError(
            f"escrow key {path} cannot be read: {error.strerror}",
            hint="copy the public half there; the private half stays offline",
        ) from error
    if mode & 0o022:
        # Whoever swaps this file for a key of theirs can read every backup from then on.
        raise KeyUnavailableError(
            f"escrow key {path} can be changed by other users (mode {mode:04o})",
            hint=f"compare it with the original, then chmod 644 {path}",
        )
    return pem
