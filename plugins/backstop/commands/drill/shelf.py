"""What one repository holds of a target, as far as a drill asks; each thing is read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.model.drill_samples import proven_restores

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.model.drill_samples import Sample
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published, Repository

_NEWEST = 40
"""Earlier restores that a forecast looks at."""


@dataclass(slots=True)
class Shelf:
    """One repository, by manifests and proofs."""

    repository: Repository
    backups: tuple[Published, ...]
    _proofs: dict[BackupLabel, tuple[Proof, ...]] = field(default_factory=dict)
    _keys: dict[BackupLabel, tuple[str, ...]] | None = None

    @classmethod
    def read(cls, repository: Repository) -> Shelf:
        """:raises BackstopError: it does not answer, or is none."""
        return cls(repository, repository.catalog.backups().backups)

    def of(self, component: str) -> list[Published]:
        """Backups of one component, oldest first by when they had finished."""
        return [one for one in self.backups if one.manifest.label.component == component]

    def proofs(self, published: Published) -> tuple[Proof, ...]:
        """Of exactly this copy, oldest first."""
        manifest = published.manifest
        if self._keys is None:
            self._keys = self.repository.catalog.proof_records.keys()
        if manifest.label not in self._proofs:
            found = self.repository.catalog.proof_records.of(
                manifest.label,
                repository_id=manifest.repository_id,
                manifest_sha256=published.sha256,
                keys=self._keys.get(manifest.label, ()),
            )
            self._proofs[manifest.label] = found.proofs
        return self._proofs[manifest.label]

    def proven_at(self, published: Published, *, by: datetime | None = None) -> datetime | None:
        """When the newest proof ended, if it matched. :param by: later ones are taken as not there."""
        proofs = [one for one in self.proofs(published) if by is None or one.finished_at <= by]
        return proofs[-1].finished_at if proofs and proofs[-1].matched else None

    def first_proven_at(self, published: Published) -> datetime | None:
        """Since when there has been a proof that matched."""
        return next((one.finished_at for one in self.proofs(published) if one.matched), None)

    def past_restores(self, component: str) -> list[Sample]:
        """How long verifications that matched took, and when they ended."""
        return [
            sample
            for published in self.of(component)[-_NEWEST:]
            for sample in proven_restores(self.proofs(published), plain_bytes=published.manifest.plain_bytes)
        ]
