"""Brings a backup back from one repository: every object decrypted, checked, in one directory."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from backstop.errors import IntegrityError, NotFoundError, ObjectMissingError, RestoreError
from backstop.model.backup import BackupKind
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest, StoredObject
    from backstop.repository.catalog import Repository

SMALL_OBJECT_BYTES = 64 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_TOC = "toc.dat"
_ELSEWHERE = "read it from another repository, or choose another backup"


def fetch_backup(
    repository: Repository,
    manifest: Manifest,
    *,
    keyring: Keyring,
    destination: Path,
    jobs: int,
    progress: Progress,
) -> Path:
    """The backup's files as one directory, 0700 with 0600 files, whole or not there at all.

    ``toc.dat`` and the data files in it are what ``pg_restore -Fd`` reads; ``globals.sql`` and
    ``fingerprint.json`` lie beside them. The parts of a base backup stay tar files, ``base-000001.tar``, and
    so do the packs of a file tree, ``<name>.tar``.
    Progress counts stored bytes.

    :param destination: must not exist, or be an empty directory; its parent must exist.
    :param jobs: objects read at a time.
    :returns: ``destination``.
    :raises ObjectMissingError: the repository lacks objects that the manifest names.
    :raises IntegrityError: an object is damaged, swapped, or holds a file where none may be.
    :raises RestoreError: the destination is taken.
    """
    refuse_taken(destination)
    if manifest.kind is BackupKind.DUMP:
        manifest.object_named(_TOC)  # without it no data file means anything
    refuse_unless_present(repository, manifest)
    progress.phase("fetch", total_bytes=manifest.stored_bytes)
    # Beside the destination, which then appears by one rename.
    folder = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        fetch = _Fetch(repository, manifest, keyring=keyring, folder=folder, progress=progress)
        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="fetch") as pool:
            # Largest first: the last ones to finish are then short.
            objects = sorted(manifest.objects, key=lambda stored: stored.stored_bytes, reverse=True)
            futures = [pool.submit(fetch.object, stored) for stored in objects]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                fetch.stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        folder.rename(destination)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return destination


def fetch_object(
    repository: Repository,
    manifest: Manifest,
    stored: StoredObject,
    *,
    keyring: Keyring,
    destination: Path,
    progress: Progress,
) -> Path:
    """One object's plaintext as a 0600 file; a ``tar`` object stays a tar file.

    :raises IntegrityError: damaged; :raises ObjectMissingError: not there.
    """
    progress.phase("fetch", total_bytes=stored.stored_bytes)
    _Fetch(repository, manifest, keyring=keyring, folder=destination.parent, progress=progress).to_file(
        stored, destination
    )
    return destination


def read_object(
    repository: Repository,
    manifest: Manifest,
    name: str,
    *,
    keyring: Keyring,
    max_bytes: int = SMALL_OBJECT_BYTES,
) -> bytes:
    """The whole content of one small ``file`` object, such as ``fingerprint.json``, checked to its end.

    :raises IntegrityError: the manifest lists no such object, or it is damaged or larger than ``max_bytes``.
    """
    from backstop.crypto.envelope import decrypt_stream, object_context

    stored = manifest.object_named(name)
    if stored.plain_bytes > max_bytes:
        raise IntegrityError(
            f"object {stored.key} holds {stored.plain_bytes} bytes; {name} is never larger than {max_bytes}",
            hint="choose another backup",
        )
    context = object_context(manifest.target, manifest.label.text, stored.key)
    with open_stored(repository.storage, stored) as source:
        # Joined only after the last block: what has not authenticated to its end is not handed on.
        return b"".join(list(decrypt_stream(source, keyring=keyring, context=context, expected=stored)))


class _Fetch:
    """The objects of one backup on their way into one folder. Thread-safe."""

    def __init__(
        self,
        repository: Repository,
        manifest: Manifest,
        *,
        keyring: Keyring,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._manifest = manifest
        self._keyring = keyring
        self._folder = folder
        self._progress = progress
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        self.stop = threading.Event()

    def object(self, stored: StoredObject) -> None:
        """Bring one object, as the file it is or the files in it."""
        if stored.layout == "file":
            self.to_file(stored, self._new_path(stored, stored.name))
        elif stored.layout == "tar":
            descriptor, name = tempfile.mkstemp(prefix=".pack-", dir=self._folder)
            os.close(descriptor)
            self.to_file(stored, Path(name))
            self._unpack(stored, Path(name))
        elif stored.layout == "chunks":
            self.to_file(stored, self._new_path(stored, f"{stored.name}.tar"))
        elif stored.layout == "base":
            self.to_file(stored, self._new_path(stored, f"{stored.name.replace('/', '-')}.tar"))
        else:
            raise IntegrityError(
                f"object {stored.key} has the unknown layout {stored.layout!r}",
                hint="use the Backstop release that wrote it, or a newer one",
            )

    def to_file(self, stored: StoredObject, path: Path) -> None:
        """Decrypt and check; the file appears only when everything in it was."""
        from backstop.crypto.envelope import decrypt_to_file, object_context

        # Packs of a file tree may be an earlier backup's; of nothing else this is said by its key.
        label = stored.origin if stored.layout == "chunks" else self._manifest.label
        context = object_context(self._manifest.target, label.text, stored.key)
        with open_stored(self._repository.storage, stored) as source:
            watched = cast("BinaryIO", Watched(source, self._progress, self.stop))
            decrypt_to_file(watched, path, keyring=self._keyring, context=context, expected=stored)

    def _unpack(self, stored: StoredObject, pack: Path) -> None:
        try:
            with tarfile.open(pack, mode="r:") as archive:
                for member in archive:
                    if not member.isreg() or member.issparse():
                        raise self._unsafe(stored, member.name, "is no regular file")
                    self._write_member(stored, member.name, archive.extractfile(member))
        except tarfile.TarError as error:
            raise IntegrityError(
                f"object {stored.key} is not a tar file: {error}", hint="choose another backup"
            ) from error
        pack.unlink()

    def _write_member(self, stored: StoredObject, name: str, source: Any) -> None:
        path = self._new_path(stored, name)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as sink:
            shutil.copyfileobj(source, sink, _BLOCK_BYTES)

    def _new_path(self, stored: StoredObject, name: str) -> Path:
        """Where the file goes. What a manifest or a tar says about names is not trusted."""
        if not name or "/" in name or "\0" in name or name.startswith("."):
            raise self._unsafe(stored, name, "may not have that name")
        with self._lock:
            if name in self._taken:
                raise self._unsafe(stored, name, "exists twice in this backup")
            self._taken.add(name)
        return self._folder / name

    def _unsafe(self, stored: StoredObject, name: str, what: str) -> IntegrityError:
        return IntegrityError(
            f"file {name!r} in object {stored.key} {what}", hint="Backstop did not write this; choose another"
        )


class Watched:
    """A stream that reports what was read and ends, by raising, when another object has failed."""

    closed = False

    def __init__(self, source: BinaryIO, progress: Progress, stop: threading.Event) -> None:
        self._source = source
        self._progress = progress
        self._stop = stop

    def read(self, size_bytes: int = -1) -> bytes:
        if self._stop.is_set():
            raise RestoreError(
                "stopped, because another object of the backup failed", hint="see what is said of that one"
            )
        block = self._source.read(size_bytes)
        self._progress.advance(len(block))
        return block


def refuse_taken(destination: Path) -> None:
    if not destination.parent.is_dir():
        raise NotFoundError(f"there is no directory {destination.parent}", hint="create it first")
    if os.path.lexists(destination) and not (destination.is_dir() and not any(destination.iterdir())):
        raise RestoreError(f"{destination} exists already", hint="name a directory that does not exist yet")


def refuse_unless_present(repository: Repository, manifest: Manifest) -> None:
    """Before hours of fetching: is everything there, at its size?

    A listing shows the current version alone, so objects whose version is known are left to the reading.
    """
    wanted = [stored for stored in manifest.objects if stored.version_id is None]
    if not wanted:
        return
    prefix = os.path.commonpath([stored.key.rpartition("/")[0] for stored in wanted]) + "/"
    found = {info.key: info.size_bytes for info in repository.storage.list(prefix)}
    missing = [stored.key for stored in wanted if stored.key not in found]
    if missing:
        names = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise ObjectMissingError(
            f"backup {manifest.label} of {manifest.target} lacks {len(missing)} of its "
            f"{len(manifest.objects)} objects in {repository.location}: {names}",
            hint=_ELSEWHERE,
        )
    for stored in wanted:
        if found[stored.key] != stored.stored_bytes:
            raise IntegrityError(
                f"object {stored.key} is {found[stored.key]} bytes long; "
                f"its manifest says {stored.stored_bytes}",
                hint=_ELSEWHERE,
            )
