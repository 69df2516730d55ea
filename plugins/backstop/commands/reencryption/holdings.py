"""What the repositories hold, and which of it a key protects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.crypto.header import wrapping_keys
from backstop.errors import BackstopError, IntegrityError, NotFoundError
from backstop.model.key_material import is_among
from backstop.model.reencryption import Content, successors_in
from backstop.model.retention_candidate import needs_of
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.model.backup import BackupLabel, Manifest
    from backstop.repository.catalog import Published, Repository


@dataclass(slots=True)
class Holdings:
    """Every backup of a target, and each repository's copy of it.

    :param copies: by label, in the order of the repositories.
    :param successors: old label to the new one that holds its content, where some repository has both.
    :param unlooked: what could not be read, in sentences.
    """

    copies: dict[BackupLabel, list[tuple[Repository, Published]]] = field(default_factory=dict)
    successors: dict[BackupLabel, BackupLabel] = field(default_factory=dict)
    unlooked: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, repositories: Sequence[Repository]) -> Holdings:
        """:raises BackstopError: no repository answers; the first one's error."""
        found = cls()
        failures: list[BackstopError] = []
        for repository in repositories:
            try:
                found._look_at(repository)
            except NotFoundError:
                continue  # nothing has been backed up there yet
            except BackstopError as error:
                failures.append(error)
                found.unlooked.append(f"{repository.name} could not be looked at: {error.message}")
        if failures and len(failures) == len(repositories):
            raise failures[0]
        return found

    def _look_at(self, repository: Repository) -> None:
        contents: dict[BackupLabel, Content] = {}
        for one in repository.catalog.each():
            if isinstance(one, IntegrityError):
                self.unlooked.append(f"{repository.name}: {one.message}")
                continue
            self.copies.setdefault(one.manifest.label, []).append((repository, one))
            contents[one.manifest.label] = Content.of(one.manifest)
        for old, new in successors_in(contents).items():
            self.successors.setdefault(old, new)

    def manifest(self, label: BackupLabel) -> Manifest:
        """One of its copies: they differ in nothing that matters to a reader of the content."""
        return self.copies[label][0][1].manifest

    def protected_by(self, key: str) -> list[BackupLabel]:
        """What that key opens, and whatever needs any of it, the oldest first.

        A manifest names the keys that open all of it; the head of an object names those that open that one.
        """
        heads: dict[str, bool] = {}
        found: set[BackupLabel] = set()
        order = sorted(self.copies, key=lambda label: (self.manifest(label).finished_at, label))
        for label in order:
            manifest = self.manifest(label)
            if (
                found & set(needs_of(manifest))
                or is_among(key, manifest.keys)
                or self._heads(label, key, heads)
            ):
                found.add(label)
        return [label for label in order if label in found]

    def _heads(self, label: BackupLabel, key: str, heads: dict[str, bool]) -> bool:
        for repository, published in self.copies[label]:
            try:
                for stored in published.manifest.objects:
                    if stored.key not in heads:
                        with open_stored(repository.storage, stored) as source:
                            heads[stored.key] = is_among(key, wrapping_keys(source, name=stored.key))
                    if heads[stored.key]:
                        return True
                return False
            except BackstopError as error:
                problem = f"{repository.name}: {label}: {error.message}"
        self.unlooked.append(problem)
        return False
