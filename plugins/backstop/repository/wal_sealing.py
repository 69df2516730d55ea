"""WAL on its way out: encrypted once, put into every repository under a name that carries its hash."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.crypto.envelope import encrypt_stream

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import WalSegment
    from backstop.repository.wal_names import WalNames

MAX_DELTA_BYTES = 4 * 1024 * 1024
"""A delta goes as one small object (see :meth:`backstop.storage.base.Storage.put_once`)."""


@dataclass(frozen=True, slots=True)
class SealedWal:
    """Ciphertext ready to be put, in memory (deltas, histories) or in a file (segments).

    :param keys: ids of the keys that open it; fewer than the ring's when an optional one was out of reach.
    """

    key: str
    body: bytes | Path
    stored_bytes: int
    plain_sha256: str
    keys: tuple[str, ...]


def prepare_sealing(keyring: Keyring) -> None:
    """Once, before threads seal: loads what they need, and tries the keys.

    Two threads that import the encryption SDK at the same time break each other's import of it.

    :raises KeyUnavailableError: a required key is out of reach.
    """
    import aws_encryption_sdk.identifiers  # noqa: F401

    import backstop.crypto.materials
    import backstop.crypto.zstd_frames  # noqa: F401

    keyring.check(opening=False)


def seal_segment(
    names: WalNames, segment: WalSegment, source: BinaryIO, destination: Path, *, keyring: Keyring
) -> SealedWal:
    """Encrypt a whole segment into a new file (0600), which the caller removes.

    :raises ValueError: the source holds more or less than a segment: it must never be stored as one.
    :raises KeyUnavailableError: a required key is out of reach. :raises StorageFullError: no space.
    """
    context = names.segment_context(segment)
    descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as sink:
        sealed = encrypt_stream(source, sink, keyring=keyring, context=context)
    if sealed.plain_bytes != segment.size_bytes:
        destination.unlink()
        raise ValueError(f"{segment} has {sealed.plain_bytes} bytes instead of {segment.size_bytes}")
    key = names.segment(segment, sealed.plain_sha256)
    return SealedWal(key, destination, sealed.stored_bytes, sealed.plain_sha256, sealed.keys)


def seal_delta(
    names: WalNames, segment: WalSegment, *, offset_bytes: int, data: bytes, keyring: Keyring
) -> SealedWal:
    """Encrypt a piece of a growing segment, at most :data:`MAX_DELTA_BYTES`.

    :raises KeyUnavailableError: a required key is out of reach.
    """
    key = names.delta(segment, offset_bytes, len(data), hashlib.sha256(data).hexdigest())
    return _seal(key, data, keyring, names.delta_context(segment, offset_bytes))


def seal_history(names: WalNames, timeline: int, data: bytes, *, keyring: Keyring) -> SealedWal:
    """Encrypt a timeline's history file.

    :raises KeyUnavailableError: a required key is out of reach.
    """
    key = names.history(timeline, hashlib.sha256(data).hexdigest())
    return _seal(key, data, keyring, names.history_context(timeline))


def _seal(key: str, data: bytes, keyring: Keyring, context: dict[str, str]) -> SealedWal:
    sink = io.BytesIO()
    sealed = encrypt_stream(io.BytesIO(data), sink, keyring=keyring, context=context)
    return SealedWal(key, sink.getvalue(), sealed.stored_bytes, sealed.plain_sha256, sealed.keys)
