"""The archive directory as a second source: what ``archive_command`` copied there is shipped and pruned.

Complete segments and ``.history`` files, histories first. A ``.partial`` segment is in its successor's first
file, and a ``.backup`` file says nothing that a base backup's manifest does not: both are left alone.
"""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from backstop.commands.staging import staging_directory, sweep_staging
from backstop.errors import BackstopError, ConfigurationError, IntegrityError, SourceError, StorageError
from backstop.model.lsn import WalSegment
from backstop.model.wal_header import HEADER_BYTES, WalHeader
from backstop.repository.wal_archive import WalArchive
from backstop.repository.wal_names import SHA_DIGITS, WalNames
from backstop.repository.wal_sealing import prepare_sealing, seal_history, seal_segment

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.repository.catalog import Repository
    from backstop.repository.wal_sealing import SealedWal

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")
_FILES_AT_A_TIME = 4
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DirectoryReport:
    """One pass over the directory.

    :param shipped: names of files that some repository did not have yet.
    :param pruned: names of files that every repository has, removed from the directory.
    :param unfinished: names of files that are still being copied, or were cut.
    :param problems: one error for each file that is somebody else's or differs from what is archived, and for
        each repository that failed; nothing was overwritten or pruned for it.
    """

    shipped: tuple[str, ...]
    pruned: tuple[str, ...]
    unfinished: tuple[str, ...]
    problems: tuple[BackstopError, ...]


def ship_directory(
    *,
    target: str,
    directory: Path,
    system_id: str,
    repositories: Sequence[Repository],
    keyring: Keyring,
    spool: Path,
    prune: bool = True,
) -> DirectoryReport:
    """Ship what is there, once; call it again and again.

    A file is accepted only where the archive has nothing else under its name, and pruned only when every
    repository has it with the same hash.

    :param system_id: of the cluster whose ``archive_command`` fills the directory.
    :raises SourceError: the directory cannot be read. :raises ConfigurationError: no repository.
    """
    if not repositories:
        raise ConfigurationError(f"{target} has no repository", hint="list one in targets.yaml")
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise SourceError(
            f"archive directory {directory} cannot be read: {error.strerror}",
            hint="check wal.archive_directory in targets.yaml, and this user's rights",
        ) from error
    prepare_sealing(keyring)
    sweep_staging(spool)
    archives = {one.name: WalArchive(one.storage, target, system_id) for one in repositories}
    with staging_directory(spool, f"wal-directory-{secrets.token_hex(8)}") as folder:
        one_pass = _Pass(directory, archives, keyring, folder, prune=prune)
        # A recovery must not follow a timeline that it has WAL of but no history.
        one_pass.ship([name for name in names if _HISTORY.fullmatch(name)])
        one_pass.ship([name for name in names if _SEGMENT.fullmatch(name)])
    return one_pass.report()


class _Pass:
    def __init__(
        self, directory: Path, archives: dict[str, WalArchive], keyring: Keyring, folder: Path, *, prune: bool
    ) -> None:
        self._directory = directory
        self._archives = archives
        self._names: WalNames = next(iter(archives.values())).names
        self._keyring = keyring
        self._folder = folder
        self._prune = prune
        self._failed: dict[str, BackstopError] = {}
        self._shipped: list[str] = []
        self._pruned: list[str] = []
        self._unfinished: list[str] = []
        self._problems: list[BackstopError] = []

    def report(self) -> DirectoryReport:
        return DirectoryReport(
            tuple(sorted(self._shipped)),
            tuple(sorted(self._pruned)),
            tuple(sorted(self._unfinished)),
            (*self._problems, *self._failed.values()),
        )

    def ship(self, names: Sequence[str]) -> None:
        with ThreadPoolExecutor(_FILES_AT_A_TIME, thread_name_prefix="wal-directory") as threads:
            for _ in threads.map(self._ship_one, names):
                pass

    def _ship_one(self, name: str) -> None:
        path = self._directory / name
        try:
            before = path.stat()
            digest = self._digest(path)
            if digest is None:
                self._unfinished.append(name)
                return
            stored = self._store(name, path, digest)
            if stored and self._prune and _same(before, path.stat()):
                path.unlink()
                self._pruned.append(name)
        except FileNotFoundError:
            return  # pruned by somebody else meanwhile
        except OSError as error:
            self._problems.append(
                SourceError(f"{path}: {error.strerror}", hint="check the disk and this user's rights")
            )
        except BackstopError as error:
            self._problems.append(error)

    def _digest(self, path: Path) -> str | None:
        """The file's SHA-256; None while it is not complete.

        :raises SourceError: it is not what its name says, or another cluster's.
        """
        digest = sha256()
        with path.open("rb") as file:
            first = file.read(HEADER_BYTES)
            if _SEGMENT.fullmatch(path.name):
                if len(first) < HEADER_BYTES:
                    return None
                expected_bytes = self._check_header(path, first)
                if path.stat().st_size < expected_bytes:
                    return None
            digest.update(first)
            while block := file.read(_READ_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def _check_header(self, path: Path, first: bytes) -> int:
        try:
            header = WalHeader.parse(first)
            wrong = header.difference(WalSegment.parse(path.name, size_bytes=header.segment_bytes))
        except ValueError as error:
            header, wrong = None, str(error)
        if header is not None and header.system_id != self._names.system_id:
            wrong = f"it is of cluster {header.system_id}, not of {self._names.system_id}"
        if wrong or header is None:
            raise SourceError(
                f"{path} is not shipped: {wrong}",
                hint="one archive directory takes the WAL of one cluster: look who copied it there",
            )
        return header.segment_bytes

    def _store(self, name: str, path: Path, digest: str) -> bool:
        """Put it where it is missing; whether every repository has it now."""
        lacking = []
        for repository, archive in self._archives.items():
            if repository in self._failed:
                continue
            try:
                if not self._has(archive, name, digest):
                    lacking.append(repository)
            except StorageError as error:
                self._failed[repository] = error
        if lacking:
            self._put(lacking, name, self._seal(name, path, digest))
        return not self._failed

    def _has(self, archive: WalArchive, name: str, digest: str) -> bool:
        """:raises IntegrityError: it is there with other content."""
        timeline = int(name[:8], 16)
        prefix = (
            archive.names.histories_of(timeline)
            if _HISTORY.fullmatch(name)
            else f"{archive.names.timeline(timeline)}{name}-"
        )
        hashes = {info.key.removeprefix(prefix) for info in archive.storage.list(prefix)}
        if hashes - {digest[:SHA_DIGITS]}:
            raise IntegrityError(
                f"{self._directory / name} differs from what {archive.storage.location} has under its name",
                hint="two servers have written WAL under this target: find out which one is the real one; "
                "nothing was overwritten or removed",
            )
        return bool(hashes)

    def _seal(self, name: str, path: Path, digest: str) -> SealedWal:
        if _HISTORY.fullmatch(name):
            sealed = seal_history(self._names, int(name[:8], 16), path.read_bytes(), keyring=self._keyring)
        else:
            segment = WalSegment.parse(name, size_bytes=path.stat().st_size)
            with path.open("rb", buffering=0) as source:
                sealed = seal_segment(
                    self._names, segment, source, self._folder / name, keyring=self._keyring
                )
        if sealed.plain_sha256 != digest:
            raise SourceError(
                f"{path} changed while it was read", hint="it is tried again with the next pass"
            )
        return sealed

    def _put(self, repositories: Sequence[str], name: str, sealed: SealedWal) -> None:
        try:
            for repository in repositories:
                try:
                    self._archives[repository].put(sealed)
                except (StorageError, IntegrityError) as error:
                    self._failed[repository] = error
        finally:
            if not isinstance(sealed.body, bytes):
                sealed.body.unlink(missing_ok=True)
        if any(repository not in self._failed for repository in repositories):
            self._shipped.append(name)


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether nobody has written to the file, or replaced it, since it was read."""
    return (before.st_ino, before.st_size, before.st_mtime_ns) == (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    )
