"""The form of every payload object: zstd frames inside one AWS Encryption SDK message (docs/format.md).

Nothing is trusted before it has authenticated, and nothing is promoted before the *final* frame has:
a cut exactly between two frames is otherwise a perfectly valid shorter message.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from backstop.crypto.message import FRAME_BYTES, Message, Opened, object_name, sdk_client
from backstop.crypto.sdk import load_sdk
from backstop.crypto.streams import HashingReader, HashingWriter, raise_if_full, write_all
from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import StoredObject


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was written: sizes in bytes, SHA-256 in lower-case hexadecimal.

    :param stored_sha256: empty when nobody asked for it.
    :param keys: ids of the keys that open it; fewer than the ring's when an optional one was out of reach.
    """

    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    stored_sha256: str
    keys: tuple[str, ...]


def object_context(target: str, label: str, object_key: str) -> dict[str, str]:
    """The encryption context that binds an object to its place.

    :param object_key: full key, ``<target>/data/…``; the context holds what is below ``<target>/data/``.
    :raises IntegrityError: the key lies elsewhere: a manifest that claims another target's object.
    """
    prefix = f"{target}/data/"
    if not object_key.startswith(prefix):
        raise IntegrityError(
            f"object {object_key} is not below {prefix}, yet backup {label} of {target} names it",
            hint="that manifest was not written by this target's backups; choose another",
        )
    return {"target": target, "label": label, "object": object_key.removeprefix(prefix)}


def encrypt_stream(
    source: BinaryIO,
    sink: BinaryIO,
    *,
    keyring: Keyring,
    context: Mapping[str, str],
    compressors: int = 1,
    hash_stored: bool = True,
) -> Sealed:
    """Compress and encrypt everything the source yields into the sink; memory is bounded.

    ``source.read(n)`` may block on a growing file and may return less than asked; ``b""`` is its end.
    What the source raises passes through: then the sink holds a message without a final frame, which no
    reader accepts.

    :param compressors: threads that compress ahead of the encryption.
    :param hash_stored: False where no manifest will hold the SHA-256 of what is stored.
    :raises KeyUnavailableError: a required key is out of reach; nothing has been written then.
    :raises StorageFullError: no space where the sink lives.
    """
    load_sdk()
    from aws_encryption_sdk.identifiers import AlgorithmSuite

    from backstop.crypto.materials import KeyringMaterials
    from backstop.crypto.zstd_frames import FrameReader

    plain = HashingReader(source)
    stored = HashingWriter(sink, hashed=hash_stored)
    materials = KeyringMaterials(keyring, name=object_name(context, None))
    encryptor = sdk_client().stream(
        mode="encrypt",
        source=FrameReader(plain, compressors=compressors),
        materials_manager=materials,
        encryption_context=dict(context),
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        frame_length=FRAME_BYTES,
    )
    while block := encryptor.read(FRAME_BYTES):
        stored.write(block)
    stored.flush()
    return Sealed(
        plain_bytes=plain.bytes_read,
        plain_sha256=plain.sha256,
        stored_bytes=stored.bytes_written,
        stored_sha256=stored.sha256,
        keys=materials.wrapped_by,
    )


def decrypt_stream(
    source: BinaryIO,
    *,
    keyring: Keyring,
    context: Mapping[str, str] | None = None,
    expected: StoredObject | None = None,
) -> Iterator[bytes]:
    """The plaintext in blocks of at most 4 MiB, each authenticated; memory is bounded.

    Blocks come out before the end has been seen: a caller that promotes anything before the iterator is
    exhausted without an error trusts a message that may have been cut. Prefer :func:`decrypt_to_file`.

    :param context: must equal the message's own exactly; None accepts any.
    :param expected: sizes and hashes to compare; None checks authentication, checksums and the exact end.
    :raises IntegrityError: names the object and what is wrong with it.
    :raises KeyUnavailableError: no key of the ring opens it.
    """
    message = Message(source, keyring=keyring, context=context, expected=expected, hash_stored=False)
    yield from message.blocks()


def decrypt_to_file(
    source: BinaryIO,
    destination: Path,
    *,
    keyring: Keyring,
    context: Mapping[str, str] | None = None,
    expected: StoredObject | None = None,
    hash_stored: bool = True,
    hash_plain: bool = True,
) -> Opened:
    """Decrypt into a file that appears, mode 0600, only after everything has been checked.

    Until then the bytes are in a temporary sibling, which is removed on any failure. A file that is at
    ``destination`` already is replaced, and only then. Not synced: it is a spool, not a repository.

    :param hash_stored: False where there is nothing to compare the SHA-256 of what is stored with.
    :param hash_plain: False where all that will be used of the plaintext is hashed then.
    :raises: as :func:`decrypt_stream`; :raises StorageFullError: no space for the plaintext.
    """
    message = Message(
        source,
        keyring=keyring,
        context=context,
        expected=expected,
        hash_stored=hash_stored,
        hash_plain=hash_plain,
    )
    try:
        descriptor, name = tempfile.mkstemp(prefix=".partial-", dir=destination.parent)  # mode 0600
    except OSError as error:
        raise_if_full(error, destination)
        raise
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for block in message.blocks():
                write_all(file, block, place=destination)
        temporary.replace(destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return message.opened()
