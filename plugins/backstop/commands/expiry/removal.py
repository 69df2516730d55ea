"""The removal of one backup, step by step; after a crash at any of them the next run knows what is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.expiry.decide import in_words
from backstop.commands.expiry.references import folders
from backstop.commands.expiry.survey import believable
from backstop.errors import IntegrityError, NotFoundError
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.holds import Holds
from backstop.repository.inventory_rows import status_of
from backstop.repository.lock import EXPIRY
from backstop.repository.pins import readers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from backstop.commands.expiry.references import References
    from backstop.commands.expiry.report import ExpiryReport
    from backstop.commands.progress import Progress
    from backstop.model.backup import BackupLabel
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published, Repository
    from backstop.repository.inventory import Inventory
    from backstop.storage.base import ObjectVersion, Undeleted

_BATCH = 1000


@dataclass(slots=True)
class Removal:
    """Removes backups of one group, while its lease is ours.

    :param references: of everything that is published in the group.
    :param needed_by: by backup, the published ones that cannot be restored without it.
    :param newest_proven: the backup that stands in for what goes; None: there is none, so nothing goes.
    :param newest: when the newest of all backups had finished.
    :param ensure_held: raises when a lease is not ours any more.
    """

    repository: Repository
    references: References
    needed_by: dict[BackupLabel, set[BackupLabel]]
    newest_proven: BackupLabel | None
    newest: datetime | None
    inventory: Inventory | None
    ensure_held: Callable[[], None]
    clock: Callable[[], datetime]
    progress: Progress
    report: ExpiryReport

    def expire(self, label: BackupLabel, *, manifest_sha256: str, reasons: tuple[str, ...]) -> None:
        """Remove a published backup, unless something speaks against it by now."""
        try:
            published = self.repository.catalog.backup(label)
        except (NotFoundError, IntegrityError) as error:
            self.report.kept[label] = error.message
            return
        if published.sha256 != manifest_sha256:
            self.report.kept[label] = "its manifest is not the one that the plan was made from"
            return
        # The mark first: from here on everybody can see what is going on, whatever becomes of us. Who places
        # a hold or a pin looks for it afterwards, and we look for theirs after this.
        ExpiringMarks(self.repository).begin(published)
        if self.inventory is not None:
            self.inventory.record(self.repository, published, self._proofs(published))
            self.inventory.mark_expiring(self.repository, label, reasons)
        if obstacle := self.obstacle(label):
            self.keep(published, obstacle)
            return
        self.ensure_held()
        locked = self.repository.catalog.withdraw(label)
        if locked:
            self.keep(published, f"the storage has locked it {in_words(locked[0].lock)}")
            return
        self._unpublish(label)
        self.finish(published)

    def finish(self, published: Published) -> bool:
        """Remove what is left of a backup whose manifest has gone. False: a later run has to."""
        label = published.manifest.label
        # A reader or a hold that came between the last look and the removal: nothing of the payload has gone
        # yet, so the backup can be put back whole.
        if obstacle := self.obstacle(label):
            if self._is_whole(published):
                self.repository.catalog.put_back(published)
                self._publish(published)
                self.keep(published, obstacle)
                return False
            if in_use := self._in_use(label):
                self.report.waiting.append(f"{label} is half removed, and left as it is: {in_use}")
                return False
        if not self._remove_objects(published):
            return False
        if not self._remove_documents(label):
            return False
        if self.inventory is not None:
            self.inventory.mark_expired(self.repository, label, self.clock())
        # Last, so that a row of the inventory that says "expiring" always has its mark.
        if not self._remove_mark(label):
            return False
        self.report.expired.append(label)
        return True

    def keep(self, published: Published, why: str) -> None:
        """Undo what was begun: the backup stays."""
        label = published.manifest.label
        self.report.kept[label] = why
        if self.inventory is not None:
            proofs = self._proofs(published)
            self.inventory.mark_kept(self.repository, label, status_of(proofs))
        self._remove_mark(label)

    def obstacle(self, label: BackupLabel) -> str | None:
        """What speaks against the removal at this moment, in words."""
        return self._in_use(label) or self._still_needed(label) or self._without_successor()

    def _still_needed(self, label: BackupLabel) -> str | None:
        """What builds on it was to go first, but something may have kept that."""
        for dependent in sorted(self.needed_by.get(label, ())):
            return f"{dependent} stays, and is restored from it"
        return None

    def _in_use(self, label: BackupLabel) -> str | None:
        now = min(believable(self.clock(), self.newest), self._storage_now())
        for hold in Holds(self.repository).of(label):
            if hold.in_force(now):
                return str(hold)
        target = self.repository.catalog.target
        for reader in readers(self.repository.storage, target, label, now=now):
            return f"it is being read: {reader.holder}"
        return None

    def _storage_now(self) -> datetime:
        """By the storage's own clock, which readers share: a renewal of our lease is a minute old at most."""
        prefix = f"{self.repository.catalog.target}/meta/lease/{EXPIRY}/"
        renewed = [info.modified_at for info in self.repository.storage.list(prefix)]
        return max(renewed, default=self.clock()) + timedelta(minutes=1)

    def _without_successor(self) -> str | None:
        catalog = self.repository.catalog
        if self.newest_proven is None:
            return "no other backup is proven"
        try:
            newest = catalog.backup(self.newest_proven)
        except (NotFoundError, IntegrityError) as error:
            return f"the newest proven backup cannot be relied on: {error.message}"
        if not catalog.verifications(newest).proven:
            return f"{self.newest_proven} is proven no longer"
        return None

    def _unpublish(self, label: BackupLabel) -> None:
        self.references.drop(label)
        for dependents in self.needed_by.values():
            dependents.discard(label)

    def _publish(self, published: Published) -> None:
        self.references.add(published.manifest)
        for needed in published.manifest.refers_to if published.manifest.kind.physical else ():
            self.needed_by.setdefault(needed, set()).add(published.manifest.label)

    # -- Inside ----------------------------------------------------------------------------------------------

    def _proofs(self, published: Published) -> tuple[Proof, ...]:
        return self.repository.catalog.verifications(published).counting

    def _is_whole(self, published: Published) -> bool:
        there = {
            info.key: info.size_bytes
            for folder in folders(published.manifest)
            for info in self.repository.storage.list(folder)
        }
        return all(there.get(one.key) == one.stored_bytes for one in published.manifest.objects)

    def _remove_objects(self, published: Published) -> bool:
        label = published.manifest.label
        own, *others = folders(published.manifest)
        named = {stored.key for stored in published.manifest.objects if not stored.key.startswith(own)}
        kind = label.kind.value
        left: list[Undeleted] = []
        for batch in _batches(self._unneeded(own, others, named)):
            self.ensure_held()
            refused = self.repository.storage.delete_many((one.key, one.version_id) for one in batch)
            left += refused
            kept = {(one.key, one.version_id) for one in refused}
            freed = sum(one.size_bytes for one in batch if (one.key, one.version_id) not in kept)
            self.report.free(kind, freed)
            self.progress.advance(freed)
        return self._note_locked(label, left)

    def _unneeded(self, own: str, others: list[str], named: set[str]) -> Iterator[ObjectVersion]:
        """Every version of what only this backup needed; below its own folder also what no manifest ever
        named, such as the remains of another attempt: nobody else writes there.
        """
        storage = self.repository.storage
        for version in storage.versions(own):
            if not self.references.needed(version.key):
                yield version
        for folder in others:
            for version in storage.versions(folder):
                if version.key in named and not self.references.needed(version.key):
                    yield version

    def _remove_documents(self, label: BackupLabel) -> bool:
        meta = f"{self.repository.catalog.target}/meta"
        storage = self.repository.storage
        doomed = [
            *storage.versions(f"{meta}/proofs/{label}/"),
            *storage.versions(f"{meta}/pins/{label}/"),
            *storage.versions(f"{meta}/holds/{label}/"),
            *storage.versions_of(f"{meta}/accepted/{label}.json"),
        ]
        return self._note_locked(label, storage.delete_many((one.key, one.version_id) for one in doomed))

    def _remove_mark(self, label: BackupLabel) -> bool:
        return self._note_locked(label, ExpiringMarks(self.repository).remove(label))

    def _note_locked(self, label: BackupLabel, left: Sequence[Undeleted]) -> bool:
        """Whether nothing was locked."""
        if left:
            self.report.locked.setdefault(label.text, []).extend(left)
        return not left


def _batches(versions: Iterator[ObjectVersion]) -> Iterator[list[ObjectVersion]]:
    # All of them first: a listing that goes on while what it lists is removed may skip some.
    found = list(versions)
    for start in range(0, len(found), _BATCH):
        yield found[start : start + _BATCH]
