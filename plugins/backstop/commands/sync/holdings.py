"""What one repository holds of a target's backups, in short: one card a backup, without its objects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backstop.model.retention_candidate import candidate_of, segment_bytes_of
from backstop.repository.catalog import UnreadableManifestError
from backstop.repository.expiring import ExpiringMarks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.errors import IntegrityError
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.model.retention import Candidate
    from backstop.repository.catalog import Repository


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
    :param strays: one error for each manifest that has no label's name.
    """

    repository: Repository
    cards: Mapping[BackupLabel, Card]
    unreadable: Mapping[BackupLabel, IntegrityError] = field(default_factory=dict)
    expiring: frozenset[BackupLabel] = frozenset()
    strays: tuple[IntegrityError, ...] = ()

    @property
    def name(self) -> str:
        return self.repository.name


def read_holdings(repository: Repository) -> Holdings:
    """Read every manifest, one at a time in memory for each reader.

    :raises StorageError: the repository does not answer. :raises NotFoundError: its id is gone.
    """
    cards: dict[BackupLabel, Card] = {}
    unreadable: dict[BackupLabel, IntegrityError] = {}
    strays: list[IntegrityError] = []
    for one in repository.catalog.each():
        if not isinstance(one, UnreadableManifestError):
            cards[one.manifest.label] = card_of(one.manifest)
        elif one.label is None:
            strays.append(one)
        else:
            unreadable[one.label] = one
    return Holdings(repository, cards, unreadable, ExpiringMarks(repository).labels(), tuple(strays))


def card_of(manifest: Manifest) -> Card:
    """What is kept in mind of one manifest."""
    candidate = replace(
        candidate_of(manifest),
        # Asked is what the rules want. A copy that has not been proven yet must not look like one to spare,
        # and a drop holds up what goes, not what comes.
        proven=True,
        content=None,
    )
    return Card(manifest.attempt, candidate, manifest.stored_bytes, segment_bytes_of(manifest))
