"""Signatures of manifests, proofs and evidence: who wrote a document, and that nobody changed it since.

Two roles with a key each. The writer signs manifests; the verifier signs proofs with a key that the
writer does not have, so that a taken-over writer cannot declare its own backups proven.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from backstop.crypto.key_files import create_file, read_key_file, replace_file
from backstop.crypto.signature_algorithms import ALGORITHMS, ED25519, public_key_pem, signature_holds
from backstop.errors import IntegrityError, KeyUnavailableError
from backstop.model.acceptance import Acceptance
from backstop.model.backup import Manifest, Signature
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.evidence import EvidenceRecord
from backstop.model.hold import Release
from backstop.model.legacy_proof import LegacyProof
from backstop.model.proof import Proof

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Role = Literal["manifest", "proof"]
ROLES: tuple[Role, ...] = ("manifest", "proof")
Document = TypeVar("Document", Manifest, Proof, Release, Acceptance, LegacyProof, EvidenceRecord)

_FORMAT = 1
_MALFORMED = (TypeError, ValueError, AttributeError, KeyError, RecursionError)
_NAMES: dict[type, str] = {
    Release: "release of a hold on",
    Acceptance: "acceptance of the drop in",
    EvidenceRecord: "record of evidence",
}
_KEY_ID_DIGITS = 16


class UntrustedSignerError(IntegrityError):
    """A document that nobody signed, or a stranger, or a key that signs other things."""


class DocumentSigner(Protocol):
    """Signs documents: a key in a file, or one that AWS KMS keeps."""

    @property
    def key_id(self) -> str:
        """As signatures and the list of trusted signers name it."""
        ...

    def sign(self, document: Document) -> Document:
        """The same document, signed. :raises KeyUnavailableError: the key is out of reach."""
        ...


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that signs documents of one role (which role, the trusted signers say)."""

    key_id: str
    public_key: bytes
    """Raw, 32 bytes."""
    _private_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Read a PEM (PKCS #8) private key of mode 0600.

        :raises KeyUnavailableError: missing, open to others, or not an Ed25519 private key.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        data = read_key_file(path, what="signing key")
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None  # the parser's own words could quote the file
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnavailableError(
                f"signing key {path} is not an unencrypted Ed25519 private key in PEM",
                hint="bring its escrow copy back, or make new signing keys and trust both",
            )
        return cls._of(key)

    @classmethod
    def create(cls, path: Path) -> Signer:
        """A new key in a file of mode 0600.

        :raises KeyUnavailableError: a file is there already; it is left as it is.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        create_file(path, pem, what="signing key")
        return cls._of(key)

    @classmethod
    def _of(cls, key: Ed25519PrivateKey) -> Signer:
        public_key = key.public_key().public_bytes_raw()
        return cls(signing_key_id(public_key), public_key, key)

    def sign(self, document: Document) -> Document:
        """The same document with this key's signature over its canonical JSON (all but the signature)."""
        value = self._private_key.sign(canonical_json(document.signed_part())).hex()
        return document.with_signature(Signature(key=self.key_id, value=value))


@dataclass(frozen=True, slots=True)
class TrustedSigner:
    """A public key and the one kind of document it may sign.

    :param public_key: raw, 32 bytes; of an algorithm other than Ed25519, DER (SubjectPublicKeyInfo).
    """

    role: Role
    public_key: bytes
    algorithm: str = ED25519

    @property
    def pem(self) -> str:
        """As openssl reads it."""
        return public_key_pem(self.algorithm, self.public_key)


class TrustedSigners:
    """The public keys we believe, by key id. Several a role, so that keys can be rotated.

    On file: ``{"format": 1, "signers": [{"key", "role", "public_key", "algorithm"}, …]}``, the key in
    hexadecimal; no algorithm is Ed25519.
    """

    def __init__(self, signers: Mapping[str, TrustedSigner]) -> None:
        self._signers = dict(signers)

    @classmethod
    def load(cls, path: Path) -> TrustedSigners:
        """:raises KeyUnavailableError: missing, malformed, or writable by others."""
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                document = json.load(file)
            if mode & 0o022:
                # Public, but whoever may write it decides whom we believe.
                raise KeyUnavailableError(
                    f"list of trusted signers {path} can be changed by other users (mode {mode:04o})",
                    hint=f"compare it with its copy, then chmod 644 {path}",
                )
            return cls(_parse_signers(document))
        except OSError as error:
            raise KeyUnavailableError(
                f"list of trusted signers {path} cannot be read: {error.strerror}",
                hint="copy it from another machine that reads these backups; it holds public keys only",
            ) from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise KeyUnavailableError(
                f"list of trusted signers {path} is malformed: {error!r}",
                hint="copy it from another machine that reads these backups; it holds public keys only",
            ) from error

    def verify(
        self,
        document: Manifest | Proof | Release | Acceptance | LegacyProof | EvidenceRecord,
        role: Role,
        *,
        written: bytes | None = None,
    ) -> None:
        """Believe the document, or say why not. What lets backups go has the role of a proof.

        :param written: the canonical JSON of its ``to_dict()``, where that is at hand.
        :raises IntegrityError: unsigned, signed by a stranger or by a key of the other role, or changed.
        """
        name = f"{_NAMES.get(type(document), role)} {document.label} of {document.target}"
        try:
            self._verify(document, role, written=written, name=name)
        except _MALFORMED as error:  # values of other kinds than we write: nobody has signed those
            raise IntegrityError(
                f"{name} is malformed ({type(error).__name__})",
                hint="do not use it: compare it with the copy in the other repository",
            ) from error

    def _verify(
        self,
        document: Manifest | Proof | Release | Acceptance | LegacyProof | EvidenceRecord,
        role: Role,
        *,
        written: bytes | None,
        name: str,
    ) -> None:
        hint = "do not use it: compare it with the copy in the other repository"
        signature = document.signature
        if signature is None:
            raise UntrustedSignerError(f"{name} is not signed", hint=hint)
        signer = self._signers.get(signature.key)
        if signer is None:
            raise UntrustedSignerError(
                f"{name} is signed by the unknown key {signature.key}",
                hint="if that key is yours, trust its public half; otherwise do not use the document",
            )
        if signer.role != role:
            raise UntrustedSignerError(
                f"{name} is signed by key {signature.key}, which signs {signer.role}s only", hint=hint
            )
        signed = _signed_bytes(document, signature, written)
        if signature.algorithm != signer.algorithm or not signature_holds(
            signer.algorithm, signer.public_key, signature.value, signed
        ):
            raise IntegrityError(f"{name} was changed after key {signature.key} signed it", hint=hint)

    @property
    def signers(self) -> dict[str, TrustedSigner]:
        """By key id."""
        return dict(self._signers)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "signers": [_entry(key_id, signer) for key_id, signer in sorted(self._signers.items())],
        }


def create_signing_keys(directory: Path) -> TrustedSigners:
    """Make ``manifest.pem``, ``proof.pem`` and, last, ``trusted.json`` in the directory.

    A run that was interrupted is finished by the next: keys that are there are kept.

    :raises KeyUnavailableError: ``trusted.json`` is there already; nothing is changed then.
    """
    trusted = directory / "trusted.json"
    if trusted.exists():
        raise KeyUnavailableError(
            f"list of trusted signers {trusted} already exists",
            hint="it is left untouched; use it, or name another directory",
        )
    signers: dict[str, TrustedSigner] = {}
    for role in ROLES:
        path = directory / f"{role}.pem"
        signer = Signer.load(path) if path.exists() else Signer.create(path)
        signers[signer.key_id] = TrustedSigner(role, signer.public_key)
    made = TrustedSigners(signers)
    data = json.dumps(made.to_dict(), indent=2).encode() + b"\n"
    create_file(trusted, data, what="list of trusted signers", mode=0o644)
    return made


def trust_signer(directory: Path, key_id: str, signer: TrustedSigner) -> bool:
    """Add a public key to ``trusted.json`` there; False: it was trusted already.

    :raises KeyUnavailableError: the list is missing, malformed or cannot be rewritten.
    """
    path = directory / "trusted.json"
    known = TrustedSigners.load(path).signers
    if known.get(key_id) == signer:
        return False
    data = json.dumps(TrustedSigners({**known, key_id: signer}).to_dict(), indent=2).encode() + b"\n"
    replace_file(path, data, what="list of trusted signers", mode=0o644)
    return True


def signing_key_id(public_key: bytes) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the public key, as the list of trusted signers has it."""
    return sha256_hex(public_key)[:_KEY_ID_DIGITS]


def _signed_bytes(
    document: Manifest | Proof | Release | Acceptance | LegacyProof | EvidenceRecord,
    signature: Signature,
    written: bytes | None,
) -> bytes:
    """Canonical JSON of the signed part: the whole without its signature, which spares writing it twice."""
    if written is not None:
        member = b',"signature":' + canonical_json(signature.to_dict())
        if written.count(member) == 1:
            return written.replace(member, b"")
    return canonical_json(document.signed_part())


def _parse_signers(document: Mapping[str, Any]) -> dict[str, TrustedSigner]:
    if document["format"] != _FORMAT:
        raise ValueError(f"format {document['format']!r}; this program reads {_FORMAT}")
    signers: dict[str, TrustedSigner] = {}
    for raw in document["signers"]:
        public_key = bytes.fromhex(raw["public_key"])
        if raw["key"] != signing_key_id(public_key):
            raise ValueError(f"key id {raw['key']!r} does not belong to its public key")
        if raw["role"] not in ROLES:
            raise ValueError(f"role {raw['role']!r}; expected one of {', '.join(ROLES)}")
        if raw["key"] in signers:
            raise ValueError(f"key id {raw['key']!r} is listed twice")
        algorithm = raw.get("algorithm", ED25519)
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm {algorithm!r}; this program knows {', '.join(ALGORITHMS)}")
        signers[raw["key"]] = TrustedSigner(raw["role"], public_key, algorithm)
    return signers


def _entry(key_id: str, signer: TrustedSigner) -> dict[str, str]:
    entry = {"key": key_id, "public_key": signer.public_key.hex(), "role": signer.role}
    return entry if signer.algorithm == ED25519 else {**entry, "algorithm": signer.algorithm}
