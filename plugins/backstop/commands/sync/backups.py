"""Copies whole backups into one repository: payload first, checked against the source's signed manifest."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.object_copy import ObjectToCopy
from backstop.commands.sync.publishing import payload_folder
from backstop.commands.sync.transfers import Item, Transferred
from backstop.errors import (
    BackstopError,
    IntegrityError,
    NotFoundError,
    ObjectMissingError,
    StorageUnavailableError,
)
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backstop.commands.sync.publishing import Publishing
    from backstop.commands.sync.report import RepositorySync
    from backstop.commands.sync.transfers import Transfers
    from backstop.model.backup import BackupLabel, Manifest, StoredObject
    from backstop.repository.catalog import Repository


@dataclass(slots=True)
class BackupCopies:
    """Into one destination. What is there already is recognised, so that an interrupted run goes on.

    An object that a readable manifest there names is taken for what it says: re-reading what was checked
    when it came is the business of `check-objects`. Any other is compared first, where the role may read it.

    :param sources: every other repository, the preferred one first.
    """

    destination: Repository
    sources: Sequence[Repository]
    transfers: Transfers
    publishing: Publishing
    report: RepositorySync
    _known: dict[str, dict[str, tuple[str, str | None]]] = field(default_factory=dict)

    def copy(self, label: BackupLabel) -> None:
        """Bring one backup over; why that cannot be is in the report.

        :raises StorageError: the destination fails.
        """
        with ExitStack() as marks:
            # As any reader does, before the manifest is read: expiry there waits.
            for source in self._holders(label)[:1]:
                marks.enter_context(
                    pin(
                        source.storage,
                        source.catalog.target,
                        label,
                        holder=self.publishing.holder,
                        clock=self.publishing.clock,
                    )
                )
            self._copy(label, self._manifests(label))

    def _copy(self, label: BackupLabel, manifests: Mapping[str, Manifest]) -> None:
        if not manifests:
            return
        first = next(iter(manifests.values()))
        if len({manifest.attempt for manifest in manifests.values()}) > 1:
            names = " and ".join(manifests)
            self.report.lacks(
                label, f"{names} have different backups with this label: two writers ran apart; choose one"
            )
            return
        known = self._known_of(first)
        version_ids = {
            one.key: known[one.key][1]
            for one in first.objects
            if known.get(one.key, ("",))[0] == one.stored_sha256
        }
        left = [one for one in first.objects if one.key not in version_ids]
        done = Transferred()
        try:
            self.transfers.run(self._items(left, manifests), done, all_or_nothing=True)
        finally:
            self.report.objects += done.copied
            self.report.stored_bytes += done.copied_bytes
            self.report.recognised += done.recognised
        if done.failures:
            key, error = next(iter(done.failures.items()))
            if isinstance(error, ObjectMissingError) and not self._holders(label):
                self.report.notes.append(f"{label} expired elsewhere while it was copied")
                return
            self.report.lacks(label, type(error)(f"object {key}: {error.message}", hint=error.hint))
            return
        version_ids |= done.version_ids
        for one in left:
            known[one.key] = (one.stored_sha256, done.version_ids[one.key])
        self.publishing.add(first, version_ids)

    def _holders(self, label: BackupLabel) -> list[Repository]:
        """Sources that have such a backup now."""
        found = []
        for source in self.transfers.working(self.sources):
            try:
                if source.catalog.has(label):
                    found.append(source)
            except BackstopError as error:
                self.transfers.failed(source, label, error)
        return found

    def _manifests(self, label: BackupLabel) -> dict[str, Manifest]:
        """Every believable manifest of it, by repository name."""
        found: dict[str, Manifest] = {}
        reason: BackstopError | None = None
        for source in self.transfers.working(self.sources):
            try:
                found[source.name] = source.catalog.backup(label).manifest
            except NotFoundError:
                continue
            except BackstopError as error:
                reason = error
                self.transfers.failed(source, label, error)
        if not found and reason is None and not self.transfers.working(self.sources):
            reason = StorageUnavailableError(f"no repository that has {label} answers any more")
        if not found and reason is not None:
            self.report.lacks(label, reason)
        elif not found:
            self.report.notes.append(f"{label} expired elsewhere before it was copied")
        return found

    def _items(self, objects: Sequence[StoredObject], manifests: Mapping[str, Manifest]) -> Iterator[Item]:
        by_name = {source.name: source for source in self.sources}
        offered = {name: {one.key: one for one in manifest.objects} for name, manifest in manifests.items()}
        there: dict[str, set[str]] = {}
        for one in objects:
            folder = payload_folder(one.key)
            if folder not in there:
                there[folder] = {info.key for info in self.destination.storage.list(folder)}
            offers = tuple(
                # What every source must give is what the first manifest says; only versions are its own.
                (
                    by_name[name],
                    ObjectToCopy(one.key, one.stored_bytes, one.stored_sha256, its[one.key].version_id),
                )
                for name, its in offered.items()
                if one.key in its
            )
            yield Item(one.key, offers, present=one.key in there[folder])

    def _known_of(self, manifest: Manifest) -> dict[str, tuple[str, str | None]]:
        """Of a file tree: SHA-256 and version of everything that manifests in the destination name."""
        tree = manifest.label.tree
        if not tree:
            return {}
        if tree not in self._known:
            known: dict[str, tuple[str, str | None]] = {}
            there = {
                info.key for info in self.destination.storage.list(f"{manifest.target}/data/trees/{tree}/")
            }
            for label, _ in self.destination.catalog.labels():
                if label.tree != tree:
                    continue
                try:
                    named = self.destination.catalog.backup(label).manifest
                except (IntegrityError, NotFoundError):
                    continue  # what it named is compared
                known.update(
                    (one.key, (one.stored_sha256, one.version_id))
                    for one in named.objects
                    if one.key in there
                )
            self._known[tree] = known
        return self._known[tree]
