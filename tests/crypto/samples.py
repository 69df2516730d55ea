"""Sealed objects for the crypto tests, and what their manifests would say of them."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.crypto.envelope import Opened, decrypt_to_file, encrypt_stream, object_context
from backstop.model.backup import StoredObject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=timezone.utc)
LABEL = "20261123T010000Z-dump"
ESCROW_PASSWORD = b"in the safe"


@dataclass(frozen=True)
class Sample:
    """An encrypted object, and what its manifest says of it."""

    stored: bytes
    expected: StoredObject
    context: Mapping[str, str]
    keys: tuple[str, ...]

    def with_bytes(self, stored: bytes) -> Sample:
        return replace(self, stored=stored)


def seal(plain: bytes, keyring: Keyring, *, target: str = "calibrify", number: int = 1) -> Sample:
    key = f"{target}/data/database/{LABEL}/a1/t/{number}"
    context = object_context(target, LABEL, key)
    sink = io.BytesIO()
    sealed = encrypt_stream(io.BytesIO(plain), sink, keyring=keyring, context=context)
    expected = StoredObject(
        key=key,
        layout="file",
        name=f"{number}.dat",
        plain_bytes=sealed.plain_bytes,
        stored_bytes=sealed.stored_bytes,
        plain_sha256=sealed.plain_sha256,
        stored_sha256=sealed.stored_sha256,
    )
    return Sample(sink.getvalue(), expected, context, sealed.keys)


def open_sample(sample: Sample, destination: Path, keyring: Keyring, *, by_manifest: bool = True) -> Opened:
    return decrypt_to_file(
        io.BytesIO(sample.stored),
        destination,
        keyring=keyring,
        context=sample.context if by_manifest else None,
        expected=sample.expected if by_manifest else None,
    )
