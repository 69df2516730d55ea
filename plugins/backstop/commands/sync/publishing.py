"""Makes copied backups exist in the destination: manifests last, under the lease of their kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from backstop.commands.wal.holds import WalHeld, WalNeeded
from backstop.errors import (
    IntegrityError,
    LeaseHeldError,
    NotFoundError,
    ObjectConflictError,
    StorageError,
)
from backstop.model.lsn import Lsn
from backstop.model.retention_candidate import needs_of, segment_bytes_of
from backstop.repository.catalog import in_repository
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.lock import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from backstop.commands.sync.report import RepositorySync
    from backstop.crypto.signing import Signer
    from backstop.model.backup import Manifest
    from backstop.repository.catalog import Repository

_MOST_WAITING = 20


@dataclass(frozen=True, slots=True)
class _Copied:
    """A backup all of whose objects are in the destination."""

    manifest: Manifest
    version_ids: Mapping[str, str | None]


@dataclass(slots=True)
class Publishing:
    """Publishes what has been copied, several at a time.

    The lease is held for the moment of publishing alone: a copy that takes hours must not keep backups
    away. Between the two somebody may have removed what no manifest named yet, so under the lease, which
    keeps expiry away too, every object is looked for once more.
    """

    destination: Repository
    signer: Signer
    clock: Callable[[], datetime]
    holder: str
    every_seconds: float
    report: RepositorySync
    _waiting: list[_Copied] = field(default_factory=list)
    _since: datetime | None = None
    _refused: list[_Copied] = field(default_factory=list)

    def add(self, manifest: Manifest, version_ids: Mapping[str, str | None]) -> None:
        """:param manifest: as it lies in the source; :param version_ids: of its objects in the destination.

        :raises StorageError: the destination fails.
        """
        now = self.clock()
        self._waiting.append(_Copied(manifest, version_ids))
        self._since = self._since or now
        if len(self._waiting) >= _MOST_WAITING or (now - self._since).total_seconds() >= self.every_seconds:
            self.flush()

    def flush(self) -> None:
        """Publish what waits; what somebody else's lease forbids is tried again by :meth:`finish`."""
        waiting, self._waiting, self._since = self._waiting, [], None
        for kind, group in groupby(waiting, key=lambda copied: copied.manifest.label.lease_kind):
            batch = list(group)
            try:
                self._publish_under_lease(kind, batch)
            except LeaseHeldError:
                self._refused += batch

    def finish(self) -> None:
        """Publish all that is left. What still cannot be is named; its objects wait for the next run."""
        self.flush()
        refused, self._refused = self._refused, []
        for kind, group in groupby(refused, key=lambda copied: copied.manifest.label.lease_kind):
            batch = list(group)
            try:
                self._publish_under_lease(kind, batch)
            except LeaseHeldError as error:
                for copied in batch:
                    self.report.lacks(copied.manifest.label, error)

    def _publish_under_lease(self, kind: str, batch: Iterable[_Copied]) -> None:
        storage, target = self.destination.storage, self.destination.catalog.target
        # It keeps expiry and sweeps of orphans away, too: both take it for what they remove.
        with Lease.acquire(storage, target, kind, holder=self.holder, clock=self.clock) as lease:
            stored = _Stored(self.destination)
            expiring = ExpiringMarks(self.destination).labels()
            for copied in batch:
                label = copied.manifest.label
                try:
                    if label in expiring:
                        raise _NotPublishedError(f"{label} is being expired there", hint="it goes on purpose")
                    self._refuse_incomplete(copied.manifest, stored)
                    self._publish(copied, lease)
                except (IntegrityError, NotFoundError, ObjectConflictError, _NotPublishedError) as error:
                    self.report.lacks(label, error)
                else:
                    self.report.copied.append(label.text)

    def _publish(self, copied: _Copied, lease: Lease) -> None:
        catalog = self.destination.catalog
        catalog.publish(
            in_repository(
                copied.manifest,
                repository_id=catalog.repository_id(),
                epoch=lease.epoch,
                version_ids=copied.version_ids,
            ),
            signer=self.signer,
            ensure_held=lease.ensure_held,
        )

    def _refuse_incomplete(self, manifest: Manifest, stored: _Stored) -> None:
        for one in manifest.objects:
            if stored.size_of(one.key) != one.stored_bytes:
                raise _NotPublishedError(
                    f"object {one.key} was there, and is gone or another now",
                    hint="sync again; if it goes again, find out who removes objects there",
                    retryable=True,
                )
        if not manifest.kind.physical:
            return
        for needed in needs_of(manifest):
            # Read, not only looked for: a chain with a parent that nobody can believe is none.
            self.destination.catalog.backup(needed)
        self._require_wal(manifest)

    def _require_wal(self, manifest: Manifest) -> None:
        """A base backup counts once the same repository has all WAL that it needs (docs/format.md)."""
        size = segment_bytes_of(manifest)
        if size is None or manifest.timeline is None or not manifest.start_lsn or not manifest.end_lsn:
            return
        needed = WalNeeded(
            system_id=manifest.system_id,
            timeline=manifest.timeline,
            segment_bytes=size,
            start=Lsn.parse(manifest.start_lsn),
            end=Lsn.parse(manifest.end_lsn),
        )
        if not WalHeld(manifest.target)(self.destination, needed):
            raise _NotPublishedError(
                f"the WAL of timeline {needed.timeline} from {needed.start} to {needed.end}, without which "
                "it is worth nothing, is not there",
                hint="see which repository has it, and why it could not be copied",
            )


class _Stored:
    """Sizes of what lies in a repository now, listed folder by folder as they are asked for."""

    def __init__(self, repository: Repository) -> None:
        self._storage = repository.storage
        self._folders: dict[str, dict[str, int]] = {}

    def size_of(self, key: str) -> int | None:
        folder = payload_folder(key)
        if folder not in self._folders:
            self._folders[folder] = {info.key: info.size_bytes for info in self._storage.list(folder)}
        return self._folders[folder].get(key)


def payload_folder(key: str) -> str:
    """The prefix of everything of the same dump or base backup, or of the same file tree."""
    parts = key.split("/")
    depth = 4 if len(parts) > 2 and parts[2] == "trees" else 5
    return "/".join(parts[:depth]) + "/"


class _NotPublishedError(StorageError):
    """Something that the backup needs is not in the destination."""

    def __init__(self, message: str, *, hint: str, retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable
