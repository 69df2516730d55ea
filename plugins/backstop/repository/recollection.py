"""What the inventory remembers of a target's backups, so that a watch reads only what is new."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel
from backstop.postgres.connection import source_errors
from backstop.repository.drills import list_drills
from backstop.repository.inventory import record_backup
from backstop.repository.inventory_rows import manifest_from, status_of
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from backstop.model.backup import Manifest
    from backstop.model.drill import DrillRecord
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published, Repository
    from backstop.repository.inventory import Inventory


DRILLS = 60
"""So many drills are remembered: five years of monthly ones."""


@dataclass(frozen=True, slots=True)
class KnownProof:
    """One verification.

    :param difference: the first one; empty when it matched. :param replayed_bytes: of WAL.
    """

    finished_at: datetime
    matched: bool
    difference: str
    seconds: Mapping[str, float]
    replayed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class KnownBackup:
    """One backup in one repository, as it was read once.

    :param manifest: without its objects.
    :param read_at: when; None: just now.
    :param objects: how many it names.
    :param status: as the inventory has it.
    :param proofs: of exactly this manifest, oldest first.
    """

    manifest: Manifest
    sha256: str
    stored_bytes: int
    plain_bytes: int
    objects: int
    status: str
    read_at: datetime | None
    proofs: tuple[KnownProof, ...] = ()

    @property
    def label(self) -> BackupLabel:
        return self.manifest.label

    @property
    def gone(self) -> bool:
        """Whether the repository had it no longer when it was last looked at."""
        return self.status in ("expired", "missing")

    @property
    def proven(self) -> bool:
        """Whether the newest verification matched."""
        return bool(self.proofs) and self.proofs[-1].matched


@dataclass(frozen=True, slots=True)
class Recollection:
    """Everything that is known of one target, by repository.

    :param backups: also those that have gone lately.
    :param expired: gone on purpose, or about to be. :param missing: gone, and nobody expired them.
    :param drills: the newest first; None: nobody knows.
    """

    backups: Mapping[str, Mapping[BackupLabel, KnownBackup]] = field(default_factory=dict)
    expired: Mapping[str, frozenset[BackupLabel]] = field(default_factory=dict)
    missing: Mapping[str, frozenset[BackupLabel]] = field(default_factory=dict)
    drills: tuple[DrillRecord, ...] | None = None

    @property
    def filled(self) -> frozenset[str]:
        """Names of repositories that held backups when they were last looked at."""
        return frozenset(
            name for name, known in self.backups.items() if any(not one.gone for one in known.values())
        )


def recall(inventory: Inventory, target: str) -> Recollection:
    """:raises SourceUnavailableError: the inventory does not answer."""
    with _errors(inventory), inventory.connection.connect() as session:
        asked = {"target": target}
        rows = session.execute(load_sql("inventory/known_backups").encode(), asked).fetchall()
        proofs = session.execute(load_sql("inventory/known_proofs").encode(), asked).fetchall()
        gone = session.execute(load_sql("inventory/gone_backups").encode(), asked).fetchall()
        drills = tuple(list_drills(session, target, DRILLS))
    found: dict[tuple[str, str, str], list[KnownProof]] = {}
    for repository, label, sha256, finished_at, matched, difference, seconds, replayed_bytes in proofs:
        known = KnownProof(finished_at, matched, difference, seconds, replayed_bytes)
        found.setdefault((repository, label, sha256), []).append(known)
    backups: dict[str, dict[BackupLabel, KnownBackup]] = {}
    for row in rows:
        if (one := _known(row, tuple(found.get((row[0], row[1], row[3]), ())))) is not None:
            backups.setdefault(row[0], {})[one.label] = one
    left: dict[str, dict[str, set[BackupLabel]]] = {"expired": {}, "missing": {}}
    for repository, label, status in gone:
        if BackupLabel.is_one(label):
            why = "missing" if status == "missing" else "expired"
            left[why].setdefault(repository, set()).add(BackupLabel(label))
    expired, missing = (
        {name: frozenset(labels) for name, labels in left[why].items()} for why in ("expired", "missing")
    )
    return Recollection(backups, expired, missing, drills)


def enter(
    inventory: Inventory,
    repository: Repository,
    *,
    read: Iterable[tuple[Published, tuple[Proof, ...]]],
    expiring: frozenset[BackupLabel],
    gone: Iterable[BackupLabel],
) -> None:
    """Bring the inventory up to date with what a watch has read, and found to be gone.

    :raises SourceUnavailableError: the inventory does not answer.
    """
    labels = [label.text for label in gone]
    with _errors(inventory), inventory.connection.connect(autocommit=False) as session:
        for published, proofs in read:
            going = published.manifest.label in expiring
            record_backup(session, repository, published, proofs, expiring=going)
        if labels:
            session.execute(
                load_sql("inventory/mark_gone").encode(),
                {"target": repository.catalog.target, "repository": repository.name, "labels": labels},
            )


def known_from(published: Published, proofs: tuple[Proof, ...]) -> KnownBackup:
    """The same of what has just been read."""
    manifest = published.manifest
    return KnownBackup(
        manifest=replace(manifest, objects=()),
        sha256=published.sha256,
        stored_bytes=manifest.stored_bytes,
        plain_bytes=manifest.plain_bytes,
        objects=len(manifest.objects),
        status=status_of(proofs),
        read_at=None,
        proofs=tuple(
            KnownProof(
                proof.finished_at,
                proof.matched,
                next(iter(proof.differences), ""),
                dict(proof.durations),
                replayed_bytes(proof.checks),
            )
            for proof in proofs
        ),
    )


def replayed_bytes(checks: Mapping[str, Any]) -> int:
    """Of WAL, as a proof's checks have it; 0: it replayed none."""
    found = checks.get("replayed_bytes")
    return found if isinstance(found, int) else 0


def _known(row: tuple[Any, ...], proofs: tuple[KnownProof, ...]) -> KnownBackup | None:
    _, _, status, sha256, stored_bytes, plain_bytes, objects, indexed_at, facts, summary = row
    try:
        manifest = manifest_from(facts, summary or {})
    except IntegrityError:
        return None  # entered by another version: it is read again
    return KnownBackup(manifest, sha256, stored_bytes, plain_bytes, objects, status, indexed_at, proofs)


def _errors(inventory: Inventory) -> Any:
    return source_errors(f"inventory {inventory.location}", secret=inventory.connection.password)
