"""Removes orphans, under the lease of whoever could be about to name them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from backstop.commands.check.wanted import wal_named
from backstop.commands.orphans.find import is_whole, newest_of_groups
from backstop.commands.orphans.named import named_objects
from backstop.commands.orphans.report import Removal
from backstop.errors import IntegrityError, LeaseHeldError
from backstop.repository.lock import SYNC, Lease, holding
from backstop.repository.object_keys import about_backup, payload_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from backstop.commands.orphans.named import Named
    from backstop.commands.orphans.report import Orphan, Orphans
    from backstop.commands.progress import Progress
    from backstop.repository.catalog import Repository
    from backstop.storage.base import IncompleteUpload, Storage, Undeleted

_AT_ONCE = 500


def remove_orphans(
    repository: Repository,
    found: Orphans,
    *,
    grace: timedelta,
    holder: str,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Removal:
    """Remove what was found removable, each as long as it is so still.

    Manifests are read once more under the lease without which none can be published. What belongs to a kind
    of backup that is being made now is left for another time. Can be killed at any point and run again.

    :param found: of the same repository.
    :raises IntegrityError: what is an orphan cannot be told.
    """
    if found.cannot_tell:
        raise IntegrityError(
            f"which objects in {repository.location} are orphans cannot be told: "
            + "; ".join(found.cannot_tell),
            hint="mend or remove the manifests that are named, then run again",
        )
    work = _Removing(repository, grace, holder, clock, progress)
    progress.phase("remove", total_bytes=sum(one.stored_bytes for one in found.removable))
    for lease, group in groupby(sorted(found.removable, key=lambda one: one.lease), lambda one: one.lease):
        orphans = list(group)
        if lease:
            work.under_lease(lease, orphans, _uploads_of(repository, found, lease))
        else:
            work.pieces(orphans)
    kinds = {one.lease for one in found.removable}
    for upload in found.uploads:
        if (kind := _lease_of_upload(repository, upload)) not in kinds or not kind:
            work.upload(upload, kind)
    return Removal(work.objects, work.stored_bytes, work.uploads, tuple(work.left))


@dataclass(slots=True)
class _Removing:
    repository: Repository
    grace: timedelta
    holder: str
    clock: Callable[[], datetime]
    progress: Progress
    objects: int = 0
    stored_bytes: int = 0
    uploads: int = 0
    left: list[str] = field(default_factory=list)

    @property
    def target(self) -> str:
        return self.repository.catalog.target

    def under_lease(self, kind: str, orphans: Sequence[Orphan], uploads: Sequence[IncompleteUpload]) -> None:
        """Remove those whose writers need that lease, while we have it."""
        try:
            lease = self._acquire(kind)
        except LeaseHeldError as error:
            self.left.append(f"{len(orphans)} objects are left for another time: {error.message}")
            return
        with lease:
            named = named_objects(self.repository, lease=kind)
            if named.unreadable:
                self.left.append(f"{len(orphans)} objects are left: {named.unreadable[0].message}")
                return
            if (syncing := holding(self._storage, self.target, SYNC, now=self.clock())) is not None:
                self.left.append(f"{len(orphans)} objects are left: a sync is running ({syncing.claim})")
                return
            # What we have just put says what the storage's own clock says.
            now = max(info.modified_at for info in self._storage.list(f"{self.target}/meta/lease/{kind}/"))
            newest = newest_of_groups(orphans)
            ripe = [
                one
                for one in orphans
                if now - newest[one.group] >= self.grace and not self._is_needed(one, named)
            ]
            for start in range(0, len(ripe), _AT_ONCE):
                lease.ensure_held()
                self._delete(ripe[start : start + _AT_ONCE])
            for upload in uploads:
                if now - upload.began_at >= self.grace:
                    lease.ensure_held()
                    self._abort(upload)

    def pieces(self, orphans: Sequence[Orphan]) -> None:
        """Pieces of segments: a whole one always wins, so no lease is needed; only that it is there still."""
        for start in range(0, len(orphans), _AT_ONCE):
            batch = [one for one in orphans[start : start + _AT_ONCE] if self._is_spare(one)]
            self._delete(batch)

    def upload(self, upload: IncompleteUpload, kind: str) -> None:
        if kind:
            self.under_lease(kind, (), [upload])
        else:
            self._abort(upload)

    def _acquire(self, kind: str) -> Lease:
        return Lease.acquire(
            self._storage, self.target, kind, holder=f"{self.holder} (orphans)", clock=self.clock
        )

    @property
    def _storage(self) -> Storage:
        return self.repository.storage

    def _is_needed(self, orphan: Orphan, named: Named) -> bool:
        if named.has(orphan.key):
            return True
        payload = payload_key(self.target, orphan.key)
        about = about_backup(self.target, orphan.key)
        if payload is not None:
            return payload.label in named.going
        return about is None or about.label in named.labels or about.label in named.going

    def _is_spare(self, orphan: Orphan) -> bool:
        piece = wal_named(self.target, orphan.key)
        return piece is not None and is_whole(self.repository, piece.system_id, piece.segment)

    def _delete(self, orphans: Sequence[Orphan]) -> None:
        stuck = self._storage.delete_many(
            (version.key, version.version_id) for one in orphans for version in one.versions
        )
        locked = {undeleted.key: undeleted for undeleted in stuck}
        for one in orphans:
            if one.key not in locked:
                self.objects += 1
                self.stored_bytes += one.stored_bytes
            self.progress.advance(one.stored_bytes)
        self.left += [_locked(undeleted) for undeleted in locked.values()]

    def _abort(self, upload: IncompleteUpload) -> None:
        self._storage.abort_upload(upload)
        self.uploads += 1
        self.stored_bytes += upload.stored_bytes


def _locked(undeleted: Undeleted) -> str:
    until = undeleted.lock.until
    return f"{undeleted.key} is locked {f'until {until:%Y-%m-%d %H:%M} UTC' if until else 'by a legal hold'}"


def _lease_of_upload(repository: Repository, upload: IncompleteUpload) -> str:
    payload = payload_key(repository.catalog.target, upload.key)
    return payload.label.lease_kind if payload else ""


def _uploads_of(repository: Repository, found: Orphans, lease: str) -> list[IncompleteUpload]:
    return [one for one in found.uploads if _lease_of_upload(repository, one) == lease]
