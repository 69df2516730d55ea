"""Locks on a backup and on all that a restore of it reads: extended, and never shortened.

Of a backup, the manifest is locked on last. So a manifest that is locked long enough says that everything
below it is, and looking costs one request.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.model.lsn import Lsn, WalSegment
from backstop.repository.read_ahead import read_ahead
from backstop.repository.wal_names import WalNames
from backstop.storage.keys import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from backstop.model.backup import BackupLabel, Manifest
    from backstop.repository.catalog import Catalog
    from backstop.storage.base import ObjectLock, Storage


class BackupLocks:
    """The locks of one target's backups in one repository; does nothing where nothing is locked."""

    def __init__(self, storage: Storage, catalog: Catalog) -> None:
        self._storage = storage
        self._catalog = catalog

    def before_publishing(self, manifest: Manifest) -> datetime | None:
        """Lock everything that the backup refers to, as long as the backup itself will be.

        Before its manifest: a backup never exists that needs what may be deleted before it.

        :returns: until when its manifest, too, has to be locked, longer than it is when it is put; None: not.
        :raises StorageError: something cannot be locked, or is not there: the backup is not published.
        """
        rule = self._storage.lock_rule
        if rule is None:
            return None
        until = self._until(manifest)
        if until is None:
            return None
        overrun = rule.overrun(manifest.started_at, manifest.finished_at)
        self._extend(manifest, until + overrun, own=overrun > timedelta(0))
        return until + overrun if overrun else None

    def extend(self, label: BackupLabel, until: datetime) -> None:
        """Lock a published backup, its proofs and holds, and what it needs.

        :raises NotFoundError: no such backup; :raises StorageError: something cannot be locked.
        """
        if self._storage.lock_rule is None:
            return
        self._extend(self._catalog.backup(label).manifest, until, own=True)
        for folder in ("proofs", "holds"):
            for info in self._storage.list(f"{self._catalog.target}/meta/{folder}/{label}/"):
                self._storage.extend_lock(info.key, until=until)
        self.manifest(label, until)

    def manifest(self, label: BackupLabel, until: datetime) -> None:
        """The manifest alone: its payload is locked by now."""
        self._storage.extend_lock(self._catalog.manifest_key(label), until=until)

    def of(self, label: BackupLabel) -> ObjectLock | None:
        """What keeps the backup's manifest from being deleted now."""
        return self._storage.lock(self._catalog.manifest_key(label))

    def _until(self, manifest: Manifest) -> datetime | None:
        rule = self._storage.lock_rule
        key = self._catalog.manifest_key(manifest.label)
        return rule.until(key, now=manifest.finished_at) if rule else None

    def _extend(self, manifest: Manifest, until: datetime, *, own: bool) -> None:
        keys: dict[str, str | None] = {
            stored.key: stored.version_id
            for stored in manifest.objects
            if own or stored.origin != manifest.label
        }
        parents = manifest.refers_to if manifest.kind.physical else ()
        for label in parents:
            keys |= {one.key: one.version_id for one in self._catalog.backup(label).manifest.objects}
        keys |= dict.fromkeys(self._wal(manifest, until))
        keys[DESCRIPTION] = None
        self._lock_all(keys, until)
        for label in parents:
            self.manifest(label, until)

    def _lock_all(self, keys: Mapping[str, str | None], until: datetime) -> None:
        def lock(key: str) -> None:
            self._storage.extend_lock(key, until=until, version_id=keys[key])

        for _ in read_ahead(keys, lock, name="lock"):
            pass

    def _wal(self, manifest: Manifest, until: datetime) -> Iterator[str]:
        """What a base backup cannot be started without, unless it is locked so long by now.

        WAL is locked when it is stored, one segment after the other: the first one tells of the rest.
        """
        size = manifest.summary.get("wal_segment_bytes")
        if not (manifest.kind.physical and manifest.start_lsn and manifest.end_lsn and manifest.timeline):
            return
        if not isinstance(size, int):
            raise ConfigurationError(
                f"manifest {manifest.label} does not say how large WAL segments are",
                hint="nothing Backstop writes lacks it; take a new base backup",
            )
        names = WalNames(manifest.target, manifest.system_id)
        first = WalSegment.containing(
            Lsn.parse(manifest.start_lsn), timeline=manifest.timeline, size_bytes=size
        )
        last = WalSegment.containing(Lsn.parse(manifest.end_lsn), timeline=manifest.timeline, size_bytes=size)
        for info in self._storage.list(names.histories_of(manifest.timeline)):
            yield info.key
        for number in range(first.number, last.number + 1):
            segment = WalSegment(manifest.timeline, number, size)
            keys = [
                info.key for info in self._storage.list(f"{names.timeline(segment.timeline)}{segment.name}-")
            ]
            if number == first.number and keys and all(self._outlasts(key, until) for key in keys):
                return
            yield from keys

    def _outlasts(self, key: str, until: datetime) -> bool:
        lock = self._storage.lock(key)
        return lock is not None and (lock.until is None or lock.until >= until)
