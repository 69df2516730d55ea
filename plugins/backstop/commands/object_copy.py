"""Copies ciphertext from one repository to another: checked while it streams, never opened.

Between the two the object lies in a file, so memory stays bounded whatever its size, and nothing is sent on
before all of it has been checked.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from backstop.errors import (
    IntegrityError,
    ObjectConflictError,
    ObjectMissingError,
    StorageError,
    StorageUnavailableError,
)
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.storage.base import ObjectInfo, Storage

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ObjectToCopy:
    """One object and what it must be.

    :param stored_sha256: of the ciphertext, as a manifest that was believed says; None where none does (WAL):
        the number of bytes is all that can be checked without a key.
    :param version_id: of it in the source; None: the current one.
    """

    key: str
    stored_bytes: int
    stored_sha256: str | None = None
    version_id: str | None = None


def _nobody(done_bytes: int) -> None:
    """Nobody is watching."""


def fetch_checked(
    wanted: ObjectToCopy, *, source: Storage, into: Path, advance: Callable[[int], None] = _nobody
) -> None:
    """Write the ciphertext into a new file (0600); when this raises, there is no file.

    :raises IntegrityError: other bytes, or another number of them, than it must have; names the object.
    :raises ObjectMissingError: it is not there. :raises StorageError: the source fails.
    """
    descriptor = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with (
            os.fdopen(descriptor, "wb", buffering=0) as sink,
            open_stored(source, wanted) as stream,
        ):
            _check(wanted, stream, source.location, sink=sink, advance=advance)
    except BaseException:
        into.unlink(missing_ok=True)
        raise


def copy_object(
    wanted: ObjectToCopy,
    *,
    source: Storage,
    destination: Storage,
    folder: Path,
    advance: Callable[[int], None] = _nobody,
) -> ObjectInfo | None:
    """Copy one object; None when its key is taken in the destination, whose object stays as it is.

    :param folder: private, on a disk with room for the object; nothing is left in it.
    :raises IntegrityError: the source's is not what it must be: nothing was stored.
    :raises StorageError: either repository fails.
    """
    staged = folder / f"copy-{secrets.token_hex(8)}"
    try:
        fetch_checked(wanted, source=source, into=staged, advance=advance)
        return store(wanted, staged, destination=destination)
    finally:
        staged.unlink(missing_ok=True)


def store(wanted: ObjectToCopy, staged: Path, *, destination: Storage) -> ObjectInfo | None:
    """Put what was fetched under the same key; None when that is taken."""
    try:
        return destination.upload(wanted.key, staged)
    except ObjectConflictError:
        return None


def look(wanted: ObjectToCopy, storage: Storage) -> ObjectInfo | None:
    """Read what lies under the key and compare it; None when nothing does.

    A role that may put but not read (docs/format.md, "Who may do what") cannot compare: then the number of
    bytes in the listing counts, under a name that no other attempt at a backup has.

    :raises IntegrityError: it is something else, or damaged.
    :raises StorageUnavailableError: the repository does not answer.
    """
    try:
        found = storage.stat(wanted.key)
    except StorageUnavailableError:
        raise
    except StorageError:
        return _listed(wanted, storage)
    if found is None:
        return None
    _compare_size(wanted, found, storage)
    try:
        with storage.open(wanted.key, version_id=found.version_id) as stream:
            _check(wanted, stream, storage.location)
    except (StorageUnavailableError, ObjectMissingError):
        raise
    except StorageError:
        return _listed(wanted, storage)
    return found


def _listed(wanted: ObjectToCopy, storage: Storage) -> ObjectInfo | None:
    found = next((info for info in storage.list(wanted.key) if info.key == wanted.key), None)
    if found is not None:
        _compare_size(wanted, found, storage)
    return found


def _compare_size(wanted: ObjectToCopy, found: ObjectInfo, storage: Storage) -> None:
    if found.size_bytes != wanted.stored_bytes:
        raise _other(wanted, storage.location, f"{found.size_bytes} bytes")


def _check(
    wanted: ObjectToCopy,
    stream: BinaryIO,
    location: str,
    *,
    sink: BinaryIO | None = None,
    advance: Callable[[int], None] = _nobody,
) -> None:
    digest = hashlib.sha256()
    size_bytes = 0
    while block := stream.read(_BLOCK_BYTES):
        size_bytes += len(block)
        # Not to its end: something else that lies there may be of any size.
        if size_bytes > wanted.stored_bytes:
            raise _other(wanted, location, f"more than {wanted.stored_bytes} bytes")
        if wanted.stored_sha256 is not None:
            digest.update(block)
        if sink is not None:
            _write_all(sink, block)
        advance(len(block))
    if size_bytes != wanted.stored_bytes:
        raise _other(wanted, location, f"{size_bytes} bytes")
    if wanted.stored_sha256 is not None and digest.hexdigest() != wanted.stored_sha256:
        raise _other(wanted, location, f"SHA-256 {digest.hexdigest()}", expected=wanted.stored_sha256)


def _write_all(sink: BinaryIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        # A disk that is nearly full takes a part.
        view = view[sink.write(view) :]


def _other(wanted: ObjectToCopy, location: str, found: str, *, expected: str | None = None) -> IntegrityError:
    expected = expected or f"{wanted.stored_bytes} bytes"
    return IntegrityError(
        f"{location}/{wanted.key} is not what was stored: it has {found} instead of {expected}",
        hint="it was damaged or replaced; use the copy in another repository",
    )
