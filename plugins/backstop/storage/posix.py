"""A repository in a directory: a local disk, a mounted share."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat as modes
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.errors import ObjectConflictError, ObjectMissingError, ObjectTooLargeError, StorageError
from backstop.storage.base import ObjectInfo, ObjectVersion
from backstop.storage.keys import check_key, check_prefix
from backstop.storage.mounts import refuse_unmounted
from backstop.storage.posix_files import (
    NO_LINKS,
    ErrorNamingFile,
    copy_into,
    errors_named,
    explain,
    hand_over,
    link_new,
    make_directory,
    remove_empty,
    sweep,
    sync_directory,
    temporary_file,
)
from backstop.storage.posix_listing import info_of, scan, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from backstop.storage.base import IncompleteUpload, ObjectLock, Undeleted

_BUFFER_BYTES = 1024 * 1024


class PosixStorage:
    """Objects as files of the same name below ``root``: directories 0700, files 0600. Keeps no versions.

    Objects appear by ``link(2)``, which neither shows a partial file nor replaces one. Names that begin with
    a dot are not objects: ``.tmp`` holds files being written; what a dead writer left there is swept by the
    next one. A missing ``root`` is made, its parent is not: an unmounted disk must not become a fresh, empty
    repository.

    :param mounted: another file system than the system's is expected there, and nothing is done without it.
    """

    def __init__(self, root: Path, *, mounted: bool = False) -> None:
        self.root = Path(root)
        self._mounted = mounted
        self._temporary = self.root / ".tmp"
        self._swept = False
        self._sweep_lock = threading.Lock()

    @property
    def location(self) -> str:
        return str(self.root)

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        path = self._path(key)
        self._prepare(path)
        with errors_named(path):
            try:
                self._write(data, path)
            except FileExistsError:
                if path.stat().st_size != len(data) or path.read_bytes() != data:
                    raise self._conflict(path) from None
                # The earlier writer may have died between link and fsync; success must mean durable.
                self._sync(path)
            return info_of(key, path.stat())

    def _write(self, data: bytes, path: Path) -> None:
        """:raises FileExistsError: the name is taken."""
        with temporary_file(self._temporary, root=self.root) as (descriptor, temporary):
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(data)
            os.fsync(descriptor)
            link_new(temporary, path, root=self.root)

    def upload(self, key: str, source: Path | bytes) -> ObjectInfo:
        path = self._path(key)
        if isinstance(source, bytes):
            self._prepare(path)
            with errors_named(path):
                try:
                    self._write(source, path)
                except FileExistsError:
                    raise self._conflict(path) from None
                return info_of(key, path.stat())
        with errors_named(source):
            source = source.resolve(strict=True)
            expected_bytes = source.stat().st_size
        self._prepare(path)
        with errors_named(path):
            try:
                if not self._link(source, path):
                    self._copy(source, path)
            except FileExistsError:
                raise self._conflict(path) from None
            info = info_of(key, path.stat())
        if info.size_bytes != expected_bytes:
            raise StorageError(
                f"{source} had {expected_bytes} bytes when its upload began, {path} has {info.size_bytes}",
                hint="something wrote to it meanwhile; run again",
            )
        return info

    def _link(self, source: Path, path: Path) -> bool:
        """Share the inode: no byte is copied. False where that cannot be."""
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
            if modes.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
                os.fchmod(descriptor, 0o600)
            hand_over(descriptor, like=self.root)
            link_new(source, path, root=self.root)
        except OSError as error:
            if error.errno in NO_LINKS:
                return False
            raise
        finally:
            os.close(descriptor)
        return True

    def _copy(self, source: Path, path: Path) -> None:
        with temporary_file(self._temporary, root=self.root) as (descriptor, temporary):
            copy_into(source, temporary)
            os.fsync(descriptor)
            link_new(temporary, path, root=self.root)

    def read(self, key: str, *, max_bytes: int = 64 * 1024 * 1024, version_id: str | None = None) -> bytes:
        with self._open(key) as raw:
            if os.fstat(raw.fileno()).st_size <= max_bytes:
                return raw.readall()
        raise ObjectTooLargeError(f"{self._path(key)} has more than {max_bytes} bytes")

    def open(self, key: str, *, version_id: str | None = None) -> AbstractContextManager[BinaryIO]:
        raw = self._open(key)
        return cast("AbstractContextManager[BinaryIO]", io.BufferedReader(raw, _BUFFER_BYTES))

    def _open(self, key: str) -> ErrorNamingFile:
        self._refuse_unmounted()
        path = os.path.join(self.root, check_key(key))  # noqa: PTH118 - a catalogue is very many small files
        try:
            return ErrorNamingFile(path)
        except IsADirectoryError:
            raise ObjectMissingError(f"{path} is a directory, not an object") from None
        except OSError as error:
            self._check_root(error)
            raise explain(error, path) from error

    def stat(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            self._check_root(error)
            return None
        except OSError:
            with errors_named(path):
                raise
        return info_of(key, found) if modes.S_ISREG(found.st_mode) else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        self._refuse_unmounted()
        folder = prefix.rpartition("/")[0]
        directory = self.root / folder
        with errors_named(directory):
            try:
                found = scan(directory, folder)
            except (FileNotFoundError, NotADirectoryError) as error:
                self._check_root(error)
                return
        yield from walk(found, prefix)

    def folders(self) -> Iterator[str]:
        self._refuse_unmounted()
        with errors_named(self.root):
            try:
                found = scan(self.root, "")
            except (FileNotFoundError, NotADirectoryError) as error:
                self._check_root(error)
                return
        # What every ext4 has at its top, and nobody but root may look into.
        yield from (key[:-1] for key, _ in found if key.endswith("/") and key != "lost+found/")

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        path = self._path(key)
        if self._unlink(path):
            with errors_named(path.parent), contextlib.suppress(FileNotFoundError):
                sync_directory(path.parent)
            remove_empty(path.parent, below=self.root)

    def _unlink(self, path: Path) -> bool:
        """Whether it was there."""
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            self._check_root(error)
            return False
        except OSError:
            with errors_named(path):
                raise
        return True

    def incomplete_uploads(self, prefix: str) -> Iterator[IncompleteUpload]:
        """None: what a dead writer left is a temporary file, and the next writer sweeps it."""
        check_prefix(prefix)
        return iter(())

    def abort_upload(self, upload: IncompleteUpload) -> None:
        """There is none."""

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        for info in self.list(prefix):
            yield ObjectVersion(info.key, info.size_bytes, info.modified_at)

    def versions_of(self, key: str) -> Iterator[ObjectVersion]:
        if info := self.stat(key):
            yield ObjectVersion(info.key, info.size_bytes, info.modified_at)

    def delete_many(self, versions: Iterable[tuple[str, str | None]]) -> tuple[Undeleted, ...]:
        touched: set[Path] = set()
        try:
            for key, _ in versions:
                path = self._path(key)
                if self._unlink(path):
                    touched.add(path.parent)
        finally:
            for directory in touched:
                with errors_named(directory), contextlib.suppress(FileNotFoundError):
                    sync_directory(directory)  # gone: another one emptied it and took it away
                remove_empty(directory, below=self.root)
        return ()

    def lock(self, key: str, *, version_id: str | None = None) -> ObjectLock | None:
        """A directory locks nothing."""
        check_key(key)
        return None

    @property
    def lock_rule(self) -> None:
        """None, ever."""

    def extend_lock(self, key: str, *, until: datetime, version_id: str | None = None) -> None:
        check_key(key)

    def check(self) -> datetime:
        """Writes, syncs and removes a temporary file: the errors of a backup, a full disk included."""
        self._prepare(self.root)
        with errors_named(self.root), temporary_file(self._temporary, root=self.root) as (descriptor, path):
            os.write(descriptor, b"\0" * 4096)
            os.fsync(descriptor)
            return info_of(path.name, os.fstat(descriptor)).modified_at

    def probe(self, key: str) -> None:
        """As :meth:`check`: every key lies on the same file system."""
        check_key(key)
        self.check()

    # -- Inside ----------------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        self._refuse_unmounted()
        return self.root / check_key(key)

    def _refuse_unmounted(self) -> None:
        if self._mounted:
            with errors_named(self.root):
                refuse_unmounted(self.root)

    def _prepare(self, path: Path) -> None:
        """Make the root; once in our life, sweep what dead writers left."""
        self._refuse_unmounted()
        try:
            make_directory(self.root, below=self.root)
        except FileNotFoundError as error:
            raise StorageError(
                f"{self.root.parent} does not exist, so there is no place for repository {self.root}",
                hint="mount the disk it is on, or create that directory",
            ) from error
        except OSError:
            with errors_named(self.root):
                raise
        with self._sweep_lock:
            if not self._swept:
                with errors_named(self._temporary):
                    sweep(self._temporary)
                self._swept = True

    def _check_root(self, error: OSError) -> None:
        """An absent object is one thing, an absent repository another (an unmounted disk looks like this)."""
        if error.errno in (errno.ENOENT, errno.ENOTDIR) and not self.root.is_dir():
            if self.root.parent.is_dir():
                return  # not written to yet
            raise StorageError(
                f"{self.root.parent} does not exist, so repository {self.root} cannot be read",
                hint="mount the disk it is on",
            ) from error

    def _sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(path.parent)

    def _conflict(self, path: Path) -> ObjectConflictError:
        return ObjectConflictError(
            f"{path} exists with other content", hint="it is never overwritten; find out who wrote it"
        )
