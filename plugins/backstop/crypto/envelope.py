"""The form of every payload object: zstd frames inside one AWS Encryption SDK message (docs/format.md).

Nothing is trusted before it has authenticated, and nothing is promoted before the *final* frame has:
a cut exactly between two frames is otherwise a perfectly valid shorter message.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from backstop.crypto.streams import HashingReader, HashingWriter, raise_if_full, write_all
from backstop.errors import BackstopError, IntegrityError, KeyServiceUnavailableError, KeyUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backstop.crypto.keyring import Keyring
    from backstop.model.backup import StoredObject

_T = TypeVar("_T")

FRAME_BYTES = 1024 * 1024
"""Of the encrypted message. Read exactly so much at a time: the SDK is several times slower otherwise."""

_MOST_WRAPPED_KEYS = 20
_HINT = "read it from another repository, or choose another backup"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was written: sizes in bytes, SHA-256 in lower-case hexadecimal.

    :param keys: ids of the keys that open it; fewer than the ring's when an optional one was out of reach.
    """

    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    stored_sha256: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """What was read, after every check passed.

    :param context: the message's own encryption context; authenticated.
    """

    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    stored_sha256: str
    context: Mapping[str, str]


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
    source: BinaryIO, sink: BinaryIO, *, keyring: Keyring, context: Mapping[str, str]
) -> Sealed:
    """Compress and encrypt everything the source yields into the sink; memory is bounded.

    ``source.read(n)`` may block on a growing file and may return less than asked; ``b""`` is its end.
    What the source raises passes through: then the sink holds a message without a final frame, which no
    reader accepts.

    :raises KeyUnavailableError: a required key is out of reach; nothing has been written then.
    :raises StorageFullError: no space where the sink lives.
    """
    from aws_encryption_sdk.identifiers import AlgorithmSuite

    from backstop.crypto.materials import KeyringMaterials
    from backstop.crypto.zstd_frames import FrameReader

    plain = HashingReader(source)
    stored = HashingWriter(sink)
    materials = KeyringMaterials(keyring, name=_name(context, None))
    encryptor = _sdk().stream(
        mode="encrypt",
        source=FrameReader(plain),
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
    yield from _Message(source, keyring=keyring, context=context, expected=expected).blocks()


def decrypt_to_file(
    source: BinaryIO,
    destination: Path,
    *,
    keyring: Keyring,
    context: Mapping[str, str] | None = None,
    expected: StoredObject | None = None,
) -> Opened:
    """Decrypt into a file that appears, mode 0600, only after everything has been checked.

    Until then the bytes are in a temporary sibling, which is removed on any failure. A file that is at
    ``destination`` already is replaced, and only then. Not synced: it is a spool, not a repository.

    :raises: as :func:`decrypt_stream`; :raises StorageFullError: no space for the plaintext.
    """
    message = _Message(source, keyring=keyring, context=context, expected=expected)
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


class _Message:
    """One message being read: its plaintext, and everything that must be true of it."""

    def __init__(
        self,
        source: BinaryIO,
        *,
        keyring: Keyring,
        context: Mapping[str, str] | None,
        expected: StoredObject | None,
    ) -> None:
        self._stored = HashingReader(source)
        self._keyring = keyring
        self._context = context
        self._expected = expected
        self._name = _name(context, expected)
        self._plain_bytes = 0
        self._plain_hash = hashlib.sha256()
        self._own_context: dict[str, str] = {}

    def blocks(self) -> Iterator[bytes]:
        """The plaintext; exhausted without an error only when every check has passed."""
        from backstop.crypto.zstd_frames import FrameError, unframe

        most_bytes = self._expected.plain_bytes if self._expected else None
        try:
            for block in unframe(self._decrypted(), most_bytes=most_bytes):
                self._plain_hash.update(block)
                self._plain_bytes += len(block)
                yield block
        except FrameError as error:
            raise self._integrity_error(f"is damaged: {error}") from error
        self._compare()

    def opened(self) -> Opened:
        return Opened(
            plain_bytes=self._plain_bytes,
            plain_sha256=self._plain_hash.hexdigest(),
            stored_bytes=self._stored.bytes_read,
            stored_sha256=self._stored.sha256,
            context=self._own_context,
        )

    def _decrypted(self) -> Iterator[bytes]:
        """The message's frames up to its final one, which must be the last thing in the source."""
        try:
            decryptor = self._open()
            while block := self._sdk_errors_named(lambda: decryptor.read(FRAME_BYTES)):
                yield block
        except KeyServiceUnavailableError:
            raise
        except KeyUnavailableError:
            self._blame_damage_before_keys()
            raise
        if self._stored.read(1):
            raise self._integrity_error("has bytes after its final frame")

    def _open(self) -> Any:
        """Read and authenticate the header; its context decides whether this is the object we want."""
        from backstop.crypto.materials import KeyringMaterials

        decryptor = _sdk().stream(
            mode="decrypt-unsigned",
            source=self._stored,
            materials_manager=KeyringMaterials(self._keyring, name=self._name),
            max_body_length=FRAME_BYTES,
        )
        header = self._sdk_errors_named(lambda: decryptor.header)
        self._own_context = dict(header.encryption_context)
        if self._context is not None and self._own_context != dict(self._context):
            differing = {
                name: value for name, value in self._own_context.items() if self._context.get(name) != value
            }
            raise self._integrity_error(f"was written for another object: {differing or self._own_context}")
        return decryptor

    def _sdk_errors_named(self, step: Callable[[], _T]) -> _T:
        """Run one step of the SDK; what it says about the bytes becomes an IntegrityError.

        A damaged header reaches parsers that raise whatever they meet, hence the broad catch; our own
        errors, and what the source raised, pass through.
        """
        try:
            return step()
        except BackstopError:
            raise
        except Exception as error:
            if self._stored.failure is not None:
                raise
            if self._stored.ended:
                raise self._integrity_error("ended before its final frame") from error
            raise self._integrity_error(
                f"is damaged: its header or a frame does not authenticate ({type(error).__name__})"
            ) from error

    def _blame_damage_before_keys(self) -> None:
        """A flipped bit in the header also looks like an unknown key: compare the bytes before saying so."""
        if self._expected is None:
            return
        while self._stored.read(FRAME_BYTES):
            pass
        self._compare_stored(self._expected)

    def _compare(self) -> None:
        if self._expected is None:
            return
        self._compare_stored(self._expected)
        plain_sha256 = self._plain_hash.hexdigest()
        if self._plain_bytes != self._expected.plain_bytes:
            raise self._integrity_error(
                f"holds {self._plain_bytes} bytes; its manifest says {self._expected.plain_bytes}"
            )
        if plain_sha256 != self._expected.plain_sha256:
            raise self._integrity_error("has other content (SHA-256) than its manifest says")

    def _compare_stored(self, expected: StoredObject) -> None:
        if self._stored.bytes_read != expected.stored_bytes:
            raise self._integrity_error(
                f"is {self._stored.bytes_read} bytes long; its manifest says {expected.stored_bytes}"
            )
        if self._stored.sha256 != expected.stored_sha256:
            raise self._integrity_error("is not, byte for byte (SHA-256), the object its manifest names")

    def _integrity_error(self, what: str) -> IntegrityError:
        return IntegrityError(f"object {self._name} {what}", hint=_HINT)


def _name(context: Mapping[str, str] | None, expected: StoredObject | None) -> str:
    if expected is not None:
        return expected.key
    if context and "object" in context:
        return context["object"]
    return "(unnamed)"


def _sdk() -> Any:
    from aws_encryption_sdk import EncryptionSDKClient
    from aws_encryption_sdk.identifiers import CommitmentPolicy

    return EncryptionSDKClient(
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
        max_encrypted_data_keys=_MOST_WRAPPED_KEYS,
    )
