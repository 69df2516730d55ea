"""One stored object, read to its end and compared with what it must be."""

from __future__ import annotations

import errno
import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from backstop.commands.check.wanted import wal_named
from backstop.crypto.streams import write_all
from backstop.errors import (
    IntegrityError,
    KeyServiceUnavailableError,
    KeyUnavailableError,
    ObjectMissingError,
    StorageError,
)
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.commands.check.wanted import Wanted
    from backstop.crypto.key_encryption import Keyring
    from backstop.storage.base import Storage

MISSING = "is missing"
HIDDEN = "is hidden: somebody has deleted it, or stored something else over it"
_BLOCK_BYTES = 1024 * 1024
# A disk that cannot give back what it took, in the words of its driver or its file system.
_DAMAGE = frozenset({errno.EIO, errno.EBADMSG, errno.ENODATA, getattr(errno, "EUCLEAN", errno.EIO)})


class _Damaged(Exception):
    """What is wrong, as a clause."""


class Reader:
    """Reads objects of one repository again. Thread-safe.

    :param keyring: opens WAL, whose names say what its *plaintext* is; without, WAL is read and not judged.
    :param advance: told of bytes read.
    """

    def __init__(
        self, storage: Storage, *, target: str, keyring: Keyring | None, advance: Callable[[int], None]
    ) -> None:
        self._storage = storage
        self._target = target
        self._keyring = keyring
        self._advance = advance

    def judges(self, wanted: Wanted) -> bool:
        """Whether reading it can tell that it is right."""
        return not wanted.is_wal or self._keyring is not None

    def problem(self, wanted: Wanted, *, into: Path | None = None) -> str | None:
        """What is wrong with it, as a clause such as ``is missing``; None: nothing.

        :param into: a new file that gets a copy of the bytes; worth nothing when something is wrong.
        :raises StorageError: the repository does not answer, or refuses us: that says nothing about it.
        """
        try:
            if into is None:
                self._read(wanted, None)
            else:
                with into.open("xb", buffering=0) as sink:
                    self._read(wanted, cast("BinaryIO", sink))
        except _Damaged as damage:
            return str(damage)
        return None

    def judgement(self, wanted: Wanted) -> str | None:
        """As :meth:`problem`; and :data:`HIDDEN` where a bucket keeps it for the time being only:
        its rules may remove what is not current.
        """
        return self.problem(wanted) or (HIDDEN if self._is_hidden(wanted) else None)

    def _is_hidden(self, wanted: Wanted) -> bool:
        if wanted.version_id is None:
            return False
        current = self._storage.stat(wanted.key)
        if current is not None and current.version_id == wanted.version_id:
            return False
        # The same bytes, stored anew, are as good.
        return current is None or self.problem(wanted._replace(version_id=current.version_id)) is not None

    def _read(self, wanted: Wanted, sink: BinaryIO | None) -> None:
        with self._opened(wanted) as stream:
            source = _Counted(stream, sink, hashed=not wanted.is_wal, advance=self._advance)
            if wanted.is_wal and self._keyring is not None:
                self._open_wal(wanted, source, self._keyring)
            while source.read(_BLOCK_BYTES):
                if not wanted.is_wal and source.count > wanted.stored_bytes:
                    break  # something else lies there, and it may be of any size
            if source.count != wanted.stored_bytes:
                more = "more than " if source.count > wanted.stored_bytes else ""
                count = min(source.count, wanted.stored_bytes) if more else source.count
                raise _Damaged(f"is {more}{count} bytes long instead of {wanted.stored_bytes}")
            if wanted.stored_sha256 not in (None, source.sha256):
                raise _Damaged(
                    f"has other content: its SHA-256 begins {source.sha256[:16]} instead of "
                    f"{str(wanted.stored_sha256)[:16]}"
                )

    @contextmanager
    def _opened(self, wanted: Wanted) -> Iterator[BinaryIO]:
        try:
            with open_stored(self._storage, wanted) as stream:
                yield stream
        except ObjectMissingError:
            raise _Damaged(MISSING) from None
        except IntegrityError as error:
            raise _Damaged(f"cannot be read: {error.message}") from error
        except StorageError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _DAMAGE:
                raise _Damaged(f"cannot be read: {cause.strerror}") from error
            raise

    def _open_wal(self, wanted: Wanted, source: _Counted, keyring: Keyring) -> None:
        from backstop.crypto.envelope import decrypt_stream

        named = wal_named(self._target, wanted.key)
        assert named is not None  # noqa: S101 - its name is how it was found
        digest, length_bytes = hashlib.sha256(), 0
        try:
            for block in decrypt_stream(cast("BinaryIO", source), keyring=keyring, context=named.context):
                digest.update(block)
                length_bytes += len(block)
        except KeyServiceUnavailableError:
            raise
        except KeyUnavailableError:
            # Bytes flipped in the header look the same; either way nobody recovers with it.
            raise _Damaged(
                "is opened by none of our keys: its header is damaged, or its key is gone"
            ) from None
        except IntegrityError as error:
            raise _Damaged(f"is damaged: {error.message}") from error
        if not digest.hexdigest().startswith(wanted.sha):
            raise _Damaged("holds other content than its name says")
        if named.length_bytes not in (None, length_bytes):
            raise _Damaged(f"holds {length_bytes} bytes; its name says {named.length_bytes}")


class _Counted:
    """A stream whose bytes are counted, hashed and copied while they are read."""

    def __init__(
        self,
        stream: BinaryIO,
        sink: BinaryIO | None,
        *,
        hashed: bool,
        advance: Callable[[int], None],
    ) -> None:
        self._stream = stream
        self._hashed = hashed
        self._sink = sink
        self._advance = advance
        self._hash = hashlib.sha256()
        self.count = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def read(self, size_bytes: int) -> bytes:
        block = self._stream.read(size_bytes)
        if self._hashed:
            self._hash.update(block)
        self.count += len(block)
        if self._sink is not None:
            write_all(self._sink, block, place=getattr(self._sink, "name", "the copy"))
        self._advance(len(block))
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
