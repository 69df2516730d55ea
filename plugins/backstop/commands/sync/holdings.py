"""What one repository holds of a target's backups, in short: one card a backup, without its objects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, NotFoundError
from backstop.model.lsn import Lsn
from backstop.model.retention import Candidate
from backstop.repository.expiring import ExpiringMarks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.model.backup import BackupLabel, Manifest
    from backstop.repository.catalog import Repository

_READERS = 8


@dataclass(frozen=True, slots=True)
class Card:
    """One backup in one repository.

    :param attempt: tells it from another backup that got the same label.
    :param candidate: what retention wants to know of it.
    :param segment_bytes: WAL segment size of its cluster; None of what is no base backup.
    """

    attempt: str
    candidate: Candidate
    stored_bytes: int
    segment_bytes: int | None

    @property
    def label(self) -> BackupLabel:
        return self.candidate.label


@dataclass(frozen=True, slots=True)
class Holdings:
    """All of one repository.

    :param unreadable: labels that are taken by a manifest nobody can believe, and why.
    :param expiring: labels that are being expired there at this moment.
    """

    repository: Repository
    cards: Mapping[BackupLabel, Card]
    unreadable: Mapping[BackupLabel, IntegrityError] = field(default_factory=dict)
    expiring: frozenset[BackupLabel] = frozenset()

    @property
    def name(self) -> str:
        return self.repository.name


def read_holdings(repository: Repository) -> Holdings:
    """Read every manifest, one at a time in memory for each reader.

    :raises StorageError: the repository does not answer. :raises NotFoundError: its id is gone.
    """
    catalog = repository.catalog
    labels = sorted(label for label, _ in catalog.labels())
    expiring = ExpiringMarks(repository).labels()
    if not labels:
        return Holdings(repository, {}, expiring=expiring)
    # Once, before several readers ask: without it no manifest can be believed.
    catalog.repository_id()
    cards: dict[BackupLabel, Card] = {}
    unreadable: dict[BackupLabel, IntegrityError] = {}

    def read(label: BackupLabel) -> Card | IntegrityError | None:
        try:
            return card_of(catalog.backup(label).manifest)
        except IntegrityError as error:
            return error
        except NotFoundError:
            return None  # expired since the names were listed

    with ThreadPoolExecutor(_READERS, thread_name_prefix="manifests") as pool:
        for label, found in zip(labels, pool.map(read, labels), strict=True):
            if isinstance(found, IntegrityError):
                unreadable[label] = found
            elif found is not None:
                cards[label] = found
    return Holdings(repository, cards, unreadable, expiring)


def card_of(manifest: Manifest) -> Card:
    """What is kept in mind of one manifest."""
    candidate = Candidate(
        label=manifest.label,
        system_id=manifest.system_id,
        finished_at=manifest.finished_at,
        snapshot_at=manifest.snapshot_at,
        stored_bytes=manifest.stored_bytes,
        # Asked is what the rules want. A copy that has not been proven yet must not look like one to spare.
        proven=True,
        needs=needs_of(manifest),
        timeline=manifest.timeline if manifest.kind.physical else None,
        start=_lsn(manifest.start_lsn) if manifest.kind.physical else None,
        end=_lsn(manifest.end_lsn) if manifest.kind.physical else None,
    )
    return Card(manifest.attempt, candidate, manifest.stored_bytes, segment_bytes_of(manifest))


def needs_of(manifest: Manifest) -> tuple[BackupLabel, ...]:
    """Every backup without which this one cannot be restored: of an incremental base backup its chain.

    Not of a file tree: its manifest names every pack, whoever stored it, and they come with it.
    """
    if not manifest.kind.physical:
        return ()
    parents = (manifest.parent,) if manifest.parent is not None else ()
    return tuple(dict.fromkeys((*manifest.refers_to, *parents)))


def segment_bytes_of(manifest: Manifest) -> int | None:
    """WAL segment size of the cluster, as its base backup says."""
    size = manifest.summary.get("wal_segment_bytes")
    return size if manifest.kind.physical and isinstance(size, int) else None


def _lsn(text: str | None) -> Lsn | None:
    return Lsn.parse(text) if text else None
