"""The backup that a new one of the same tree refers to: what is stored already, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.trees.listing import read_listing
from backstop.errors import (
    BackstopError,
    IntegrityError,
    KeyServiceUnavailableError,
    KeyUnavailableError,
    NotFoundError,
    StorageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backstop.commands.publication import Publication
    from backstop.commands.trees.listing import TreeListing
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupLabel, Manifest, StoredObject
    from backstop.repository.catalog import Repository

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Previous:
    """A backup that every repository holds.

    :param manifests: of it, by repository name: version ids differ.
    :param packs: by name, those that all of them have; what was in a lost one is stored anew.
    """

    manifests: Mapping[str, Manifest]
    listing: TreeListing
    packs: Mapping[str, StoredObject]

    @property
    def manifest(self) -> Manifest:
        return self.listing.manifest

    def version_ids(self) -> dict[str, dict[str, str | None]]:
        """By repository name: object key to version id there."""
        return {
            name: {stored.key: stored.version_id for stored in manifest.objects}
            for name, manifest in self.manifests.items()
        }


@dataclass(slots=True)
class Search:
    """Looks for the newest backup of a tree that every repository of a publication holds.

    :param folder: where its list is kept while the new backup is made.
    :param warnings: why a newer one was passed over.
    """

    publication: Publication
    target: str
    tree: str
    keyring: Keyring
    folder: Path
    warnings: list[str] = field(default_factory=list)

    def run(self) -> Previous | None:
        """None: there is none, or none can be read; then everything is stored.

        :raises KeyServiceUnavailableError: the keys are out of reach for the moment.
        """
        held = self._labels()
        # Two backups of a tree never run at a time: the order of labels is theirs, unless a clock was set
        # back; then an older one is found, which serves as well.
        candidates = sorted(set.intersection(*held.values()), reverse=True)
        for label in candidates[:_TRIES]:
            manifests = self._manifests(label)
            if manifests is None:
                continue
            listing = self._listing(manifests)
            if listing is not None:
                return Previous(manifests, listing, self._packs(manifests))
        if candidates:
            self.warnings.append("nothing of the backups before could be read: everything is stored again")
        return None

    def _labels(self) -> dict[str, set[BackupLabel]]:
        held: dict[str, set[BackupLabel]] = {}
        for repository in list(self.publication.repositories):
            try:
                held[repository.name] = {
                    label for label, _ in repository.catalog.labels() if label.tree == self.tree
                }
            except StorageError as error:
                self.publication.leave_out(repository.name, error)
        return held

    def _manifests(self, label: BackupLabel) -> dict[str, Manifest] | None:
        found: dict[str, Manifest] = {}
        for repository in list(self.publication.repositories):
            try:
                found[repository.name] = repository.catalog.backup(label).manifest
            except (IntegrityError, NotFoundError) as error:
                self._pass_over(label, repository, error)
                return None
            except StorageError as error:
                self.publication.leave_out(repository.name, error)
        # Where two Airflows wrote, each into what it could reach, one label may mean two backups.
        return found if len({manifest.attempt for manifest in found.values()}) == 1 else None

    def _listing(self, manifests: Mapping[str, Manifest]) -> TreeListing | None:
        for repository in self.publication.repositories:
            manifest = manifests[repository.name]
            place = self.folder / f"previous-{repository.name}-{manifest.label}"
            place.mkdir(mode=0o700)
            try:
                return read_listing(repository, manifest, keyring=self.keyring, folder=place)
            except KeyServiceUnavailableError:
                raise
            except (IntegrityError, StorageError, KeyUnavailableError) as error:
                self._pass_over(manifest.label, repository, error)
        return None

    def _packs(self, manifests: Mapping[str, Manifest]) -> dict[str, StoredObject]:
        usable: dict[str, StoredObject] = {}
        for position, repository in enumerate(list(self.publication.repositories)):
            manifest = manifests[repository.name]
            try:
                there = {
                    info.key: info.size_bytes
                    for info in repository.storage.list(f"{self.target}/data/trees/{self.tree}/")
                }
            except StorageError as error:
                self.publication.leave_out(repository.name, error)
                continue
            packs = {stored.name: stored for stored in manifest.objects if stored.layout == "chunks"}
            lost = [name for name, one in packs.items() if there.get(one.key) != one.stored_bytes]
            if lost:
                self.warnings.append(
                    f"repository {repository.name} has lost {len(lost)} of {len(packs)} packs of "
                    f"{manifest.label}: what they held is stored again"
                )
            intact = {name: one for name, one in packs.items() if name not in lost}
            usable = intact if not position else {name: one for name, one in usable.items() if name in intact}
        return usable

    def _pass_over(self, label: BackupLabel, repository: Repository, error: BackstopError) -> None:
        self.warnings.append(f"{label} in repository {repository.name} was passed over: {error.message}")
