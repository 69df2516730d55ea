"""One AWS Encryption SDK message being read: its plaintext, and everything that must be true of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from backstop.crypto.sdk import load_sdk
from backstop.crypto.streams import HashingReader
from backstop.errors import BackstopError, IntegrityError, KeyServiceUnavailableError, KeyUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import StoredObject

_T = TypeVar("_T")

FRAME_BYTES = 1024 * 1024
"""Of the encrypted message. Read exactly so much at a time: the SDK is several times slower otherwise."""

_MOST_WRAPPED_KEYS = 20
_HINT = "read it from another repository, or choose another backup"


@dataclass(frozen=True, slots=True)
class Opened:
    """What was read, after every check passed.

    :param plain_sha256: and ``stored_sha256``: empty when nobody asked for them.
    :param context: the message's own encryption context; authenticated.
    """

    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    stored_sha256: str
    context: Mapping[str, str]


class Message:
    """Read once, by :meth:`blocks`; see :func:`backstop.crypto.envelope.decrypt_stream` for the rules."""

    def __init__(
        self,
        source: BinaryIO,
        *,
        keyring: Keyring,
        context: Mapping[str, str] | None,
        expected: StoredObject | None,
        hash_stored: bool = True,
        hash_plain: bool = True,
    ) -> None:
        self._stored = HashingReader(source, hashed=hash_stored or expected is not None)
        self._keyring = keyring
        self._context = context
        self._expected = expected
        self._name = object_name(context, expected)
        self._plain_bytes = 0
        self._plain_hash = hashlib.sha256() if hash_plain else None
        self._own_context: dict[str, str] = {}

    def blocks(self) -> Iterator[bytes]:
        """The plaintext; exhausted without an error only when every check has passed."""
        from backstop.crypto.zstd_frames import FrameError, unframe

        most_bytes = self._expected.plain_bytes if self._expected else None
        try:
            for block in unframe(self._decrypted(), most_bytes=most_bytes):
                if self._plain_hash is not None:
                    self._plain_hash.update(block)
                self._plain_bytes += len(block)
                yield block
        except FrameError as error:
            raise self._integrity_error(f"is damaged: {error}") from error
        self._compare()

    def opened(self) -> Opened:
        return Opened(
            plain_bytes=self._plain_bytes,
            plain_sha256=self._plain_hash.hexdigest() if self._plain_hash is not None else "",
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
        load_sdk()
        from backstop.crypto.materials import KeyringMaterials

        decryptor = sdk_client().stream(
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
                # The SDK takes some errors of a source for its end: say what the source said.
                raise self._stored.failure from None
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
        if self._plain_bytes != self._expected.plain_bytes:
            raise self._integrity_error(
                f"holds {self._plain_bytes} bytes; its manifest says {self._expected.plain_bytes}"
            )
        if self._plain_hash is not None and self._plain_hash.hexdigest() != self._expected.plain_sha256:
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


def object_name(context: Mapping[str, str] | None, expected: StoredObject | None) -> str:
    """What errors call the object: its key where we know it, else what the context calls it."""
    if expected is not None:
        return expected.key
    if context and "object" in context:
        return context["object"]
    return "(unnamed)"


def sdk_client() -> Any:
    """The SDK, refusing messages without key commitment and headers with absurdly many wrapped keys."""
    from aws_encryption_sdk import EncryptionSDKClient
    from aws_encryption_sdk.identifiers import CommitmentPolicy

    return EncryptionSDKClient(
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
        max_encrypted_data_keys=_MOST_WRAPPED_KEYS,
    )
