"""WAL on its way out: encrypted once, put into every repository under a name that carries its hash."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.crypto.envelope import encrypt_stream

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import WalSegment
    from backstop.repository.wal_names import WalNames

MAX_DELTA_BYTES = 4 * 1024 * 1024
"""A delta goes as one small object (see :meth:`backstop.storage.base.Storage.put_once`)."""
MAX_BODY_BYTES = 16 * 1024 * 1024
"""A segment up to this size may stay in memory and go in one request."""


@dataclass(frozen=True, slots=True)
class SealedWal:
    """Ciphertext ready to be put, in memory (deltas, histories, most segments) or in a file.

    :param whole: a segment; it is looked at once it has been stored.
    :param keys: ids of the keys that open it; fewer than the ring's when an optional one was out of reach.
    """

    key: str
    body: bytes | Path
    stored_bytes: int
    plain_sha256: str
    keys: tuple[str, ...]
    whole: bool = False


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
    names: WalNames, segment: WalSegment, source: BinaryIO, destination: Path | None, *, keyring: Keyring
) -> SealedWal:
    """Encrypt a whole segment into a new file (0600), which the caller removes, or in memory.

    :param destination: None: in memory, for no more than :data:`MAX_BODY_BYTES` of plaintext.
    :raises ValueError: the source holds more or less than a segment: it must never be stored as one.
    :raises KeyUnavailableError: a required key is out of reach. :raises StorageFullError: no space.
    """
    context = names.segment_context(segment)
    body: bytes | Path
    if destination is None:
        sink = _Memory()
        sealed = encrypt_stream(
            source, cast("BinaryIO", sink), keyring=keyring, context=context, hash_stored=False
        )
        body = sink.taken()
    else:
        descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            sealed = encrypt_stream(source, file, keyring=keyring, context=context, hash_stored=False)
        body = destination
    if sealed.plain_bytes != segment.size_bytes:
        if destination is not None:
            destination.unlink()
        raise ValueError(f"{segment} has {sealed.plain_bytes} bytes instead of {segment.size_bytes}")
    key = names.segment(segment, sealed.plain_sha256)
    return SealedWal(key, body, sealed.stored_bytes, sealed.plain_sha256, sealed.keys, whole=True)


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
    sink = _Memory()
    sealed = encrypt_stream(
        io.BytesIO(data), cast("BinaryIO", sink), keyring=keyring, context=context, hash_stored=False
    )
    return SealedWal(key, sink.taken(), sealed.stored_bytes, sealed.plain_sha256, sealed.keys)


class _Memory(io.RawIOBase):
    """Keeps the blocks it is given until they are taken; a buffer that grows copies them again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[Any] = []

    def write(self, block: Any, /) -> int:
        self._blocks.append(block)
        return len(block)

    def taken(self) -> bytes:
        taken = b"".join(self._blocks)
        self._blocks.clear()
        return taken
