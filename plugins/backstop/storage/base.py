"""The contract of every storage. One test (tests/storage/test_contract.py) runs against all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from backstop.model.object_lock import LockRule


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as the storage knows it. ``version_id`` is None where the storage keeps no versions."""

    key: str
    size_bytes: int
    modified_at: datetime
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class IncompleteUpload:
    """An upload in parts that was neither completed nor aborted: invisible, and billed.

    :param stored_bytes: of the parts that have arrived.
    """

    key: str
    upload_id: str
    began_at: datetime
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One stored version of an object, or the mark that hides the versions below it.

    ``version_id`` is None where the storage keeps no versions; then there is one a key.

    :param is_latest: what a reader without a version id gets, or is told to be gone.
    :param is_marker: S3's delete marker: no bytes, only "gone".
    """

    key: str
    size_bytes: int
    modified_at: datetime
    version_id: str | None = None
    is_latest: bool = True
    is_marker: bool = False


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """Why the storage itself refuses to delete a version (S3 Object Lock).

    :param until: when that ends; None: not before somebody lifts it (a legal hold).
    """

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Undeleted:
    """A version that is still there, because it is locked."""

    key: str
    version_id: str | None
    lock: ObjectLock


class Storage(Protocol):
    """A flat space of keys to byte strings.

    Keys are parts joined by ``/``, none empty, none beginning with a dot (:mod:`backstop.storage.keys`); no
    key is another one's folder.

    Objects appear whole or not at all, and are never rewritten. Transient faults (503, 409, cut or
    stalled connections) are retried inside, with bounded patience, before
    :class:`~backstop.errors.StorageUnavailableError` is raised. Thread-safe.
    """

    @property
    def location(self) -> str:
        """For people and the inventory: ``/var/backups/…`` or ``s3://bucket/prefix``; no secret."""
        ...

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        """Create a small object (< 5 MiB) unless the key exists; durable when it returns.

        The same bytes already there is success, also when our own earlier acknowledgement was lost.

        :raises ObjectConflictError: other bytes have this key.
        """
        ...

    def upload(self, key: str, source: Path | bytes) -> ObjectInfo:
        """Store the file as a payload object under a key nobody else ever uses; durable when it returns.

        Large files go in parts; a failed upload leaves nothing visible and nothing billed (aborted). Bytes go
        in one request: no more than some 16 MiB of them.
        ``source`` is not modified and may be removed afterwards. A storage on the same file system may
        hard-link, so a caller never writes to ``source`` again.

        :raises ObjectConflictError: an object has this key, whatever its content.
        :raises StorageFullError: no space; :raises StorageUnavailableError: patience ran out.
        """
        ...

    def read(self, key: str, *, max_bytes: int = 64 * 1024 * 1024, version_id: str | None = None) -> bytes:
        """The whole small object.

        :raises ObjectMissingError: no such object; :raises StorageError: larger than ``max_bytes``.
        """
        ...

    def open(self, key: str, *, version_id: str | None = None) -> AbstractContextManager[BinaryIO]:
        """A forward-only stream of the object; a connection cut in the middle is resumed by range.

        Ends early only by raising: a short read is :class:`StorageUnavailableError`, never end-of-file.
        """
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """What is stored under exactly this key, or None."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All current objects whose key starts with ``prefix``, paged as needed; without version ids.

        Objects of one folder come in the order of their names. How folders are ordered among them is up to
        the storage (AWS compares whole keys, SeaweedFS part by part).
        """
        ...

    def folders(self) -> Iterator[str]:
        """The first parts of all keys that have more than one, each once, in their order, paged as needed.

        Of what is below, nothing is looked at: one may have no object any more. Needs the right to list the
        top with the delimiter ``/``, which tells names and no more.
        """
        ...

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        """Everything that takes space or hides something below ``prefix``: every version and delete marker of
        every key that starts with it, paged as needed; in the order of :meth:`list`.
        """
        ...

    def versions_of(self, key: str) -> Iterator[ObjectVersion]:
        """The same of exactly this key, without looking at its neighbours."""
        ...

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        """Remove the object (that version, where there are versions). Absent is success."""
        ...

    def incomplete_uploads(self, prefix: str) -> Iterator[IncompleteUpload]:
        """Uploads in parts to keys that start with ``prefix``, those on their way included; paged as needed.

        None where a storage sweeps by itself what dead writers left.
        """
        ...

    def abort_upload(self, upload: IncompleteUpload) -> None:
        """Remove its parts. Completed or aborted meanwhile is success: nothing that is visible is touched."""
        ...

    def delete_many(self, versions: Iterable[tuple[str, str | None]]) -> tuple[Undeleted, ...]:
        """Remove these versions (key and version id), many at a time. Absent is success.

        A version that the storage has locked stays, and is returned.

        :raises StorageError: one could not be removed for another reason, such as a role without that right;
            those before it are gone, those after it may be.
        """
        ...

    def lock(self, key: str, *, version_id: str | None = None) -> ObjectLock | None:
        """What keeps the version from being deleted now, or None; None also when it is absent, and where the
        role may not look: then its deletion is refused all the same.
        """
        ...

    @property
    def lock_rule(self) -> LockRule | None:
        """By which everything put here is locked against deletion; None: nothing is.

        A write is refused, before it, where the storage cannot lock what the rule says.
        """
        ...

    def extend_lock(self, key: str, *, until: datetime, version_id: str | None = None) -> None:
        """Lock the version at least so long; locked longer already is success, and nothing is ever shortened.

        A moment that is past is success, too.

        Does nothing where there is no :attr:`lock_rule`.

        :raises ObjectMissingError: no such object; :raises StorageError: a role without that right.
        """
        ...

    def check(self) -> datetime | None:
        """Reachable, and with these credentials? Cheap; raises the error a backup would meet at once.

        :returns: the time by the storage's own clock, to the second; None where it does not say.
        """
        ...

    def probe(self, key: str) -> None:
        """Whether something could be written there: sends a few bytes under the key, and takes them back.

        Nothing becomes visible, nothing stays, and what was there is left alone.

        :raises StorageFullError: no space; :raises StorageError: what an upload would meet.
        """
        ...
