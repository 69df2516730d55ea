"""Where legacy backups lie: listed by their names alone, read, and removed one by one.

Not a :class:`~backstop.storage.base.Storage`: these folders are not ours. Nothing is written into them, no
link is followed, and what does not have such a name is not looked at.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, BinaryIO, Protocol

from backstop.errors import ObjectConflictError, ObjectMissingError, StorageError
from backstop.model.legacy import LegacyBackup, LegacyNames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from backstop.storage.base import Storage

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Kind:
    """What the files of a place are, and whose backups take their place.

    :param tree: of which file tree; empty: dumps of the database.
    """

    tree: str
    repository: str
    names: LegacyNames


class Place(Protocol):
    """The files of one kind in one directory or below one prefix."""

    @property
    def kind(self) -> Kind: ...

    @property
    def location(self) -> str:
        """For people."""
        ...

    def backups(self) -> list[LegacyBackup]:
        """Oldest first. :raises StorageError: it cannot be read; a missing directory, too."""
        ...

    def open(self, backup: LegacyBackup) -> AbstractContextManager[BinaryIO]:
        """Its bytes. :raises StorageError: it is not there any more, or cannot be read."""
        ...

    def remove(self, backup: LegacyBackup) -> None:
        """Exactly this file; absent is success.

        :raises ObjectConflictError: another one has its name now. :raises StorageError: it cannot be removed.
        """
        ...


@dataclass(frozen=True, slots=True)
class DirectoryPlace:
    """A directory; what lies in folders below it is not looked at."""

    kind: Kind
    directory: Path

    @property
    def location(self) -> str:
        return str(self.directory)

    def backups(self) -> list[LegacyBackup]:
        with _named(self.directory), self._opened() as folder, os.scandir(folder) as entries:
            found = [
                _backup(
                    self.kind,
                    entry.name,
                    str(self.directory / entry.name),
                    *_facts(entry.stat(follow_symlinks=False)),
                )
                for entry in entries
                if entry.is_file(follow_symlinks=False)
            ]
        return _in_order(found)

    @contextmanager
    def open(self, backup: LegacyBackup) -> Iterator[BinaryIO]:
        with self._opened() as folder:
            with _named(self.directory / backup.name):
                # Not blocking: should somebody have put a FIFO there, nobody waits for its writer.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(backup.name, flags, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                self._same(backup, os.fstat(descriptor))
                yield file

    def remove(self, backup: LegacyBackup) -> None:
        with self._opened() as folder, _named(self.directory / backup.name):
            try:
                self._same(backup, os.stat(backup.name, dir_fd=folder, follow_symlinks=False))
                os.unlink(backup.name, dir_fd=folder)
            except FileNotFoundError:
                return
            os.fsync(folder)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with _named(self.directory):
            folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder
        finally:
            os.close(folder)

    def _same(self, backup: LegacyBackup, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode) or _facts(found) != (backup.size_bytes, backup.modified_at):
            raise _changed(backup)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """What lies below a prefix of a bucket, not deeper.

    :param storage: rooted at the prefix.
    """

    kind: Kind
    storage: Storage

    @property
    def location(self) -> str:
        return self.storage.location

    def backups(self) -> list[LegacyBackup]:
        return _in_order(
            [
                _backup(
                    self.kind,
                    info.key,
                    f"{self.storage.location}/{info.key}",
                    info.size_bytes,
                    _second(info.modified_at),
                )
                for info in self.storage.list(self.kind.names.beginning)
            ]
        )

    @contextmanager
    def open(self, backup: LegacyBackup) -> Iterator[BinaryIO]:
        with self.storage.open(backup.name, version_id=self._version(backup)) as stream:
            yield stream

    def remove(self, backup: LegacyBackup) -> None:
        # By a listing, which needs no right to read: who deletes is not to be able to open old dumps.
        latest = next((one for one in self.storage.versions_of(backup.name) if one.is_latest), None)
        if latest is None or latest.is_marker:
            return
        if (latest.size_bytes, _second(latest.modified_at)) != (backup.size_bytes, backup.modified_at):
            raise _changed(backup)
        self.storage.delete(backup.name, version_id=latest.version_id)

    def _version(self, backup: LegacyBackup) -> str | None:
        """Of the object that was listed, and no other."""
        found = self.storage.stat(backup.name)
        if found is None:
            raise ObjectMissingError(f"{backup.location} is gone", hint="list the legacy backups again")
        if (found.size_bytes, _second(found.modified_at)) != (backup.size_bytes, backup.modified_at):
            raise _changed(backup)
        return found.version_id


def _backup(
    kind: Kind, name: str, location: str, size_bytes: int, modified_at: datetime
) -> LegacyBackup | None:
    times = kind.names.times(name)
    if times is None:
        return None
    return LegacyBackup(
        tree=kind.tree,
        repository=kind.repository,
        name=name,
        location=location,
        earliest_at=times[0],
        taken_at=times[1],
        size_bytes=size_bytes,
        modified_at=modified_at,
    )


def _in_order(found: list[LegacyBackup | None]) -> list[LegacyBackup]:
    return sorted((one for one in found if one is not None), key=lambda one: (one.taken_at, one.name))


def _second(moment: datetime) -> datetime:
    """S3 tells whole seconds of one object, and may tell more in a list."""
    return moment.replace(microsecond=0)


def _facts(found: os.stat_result) -> tuple[int, datetime]:
    return found.st_size, _EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000)


def _changed(backup: LegacyBackup) -> ObjectConflictError:
    return ObjectConflictError(
        f"{backup.location} is not the file that was listed: it was changed or replaced",
        hint="find out who writes there, then list the legacy backups again",
    )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(
            f"there is no {path}", hint="correct `legacy` in targets.yaml, or mount it"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{path} cannot be used: {error.strerror}", hint="let this user read it; a link is not followed"
        ) from error
