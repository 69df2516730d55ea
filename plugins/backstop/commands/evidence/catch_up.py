"""``evidence catch-up``: what should be in a chain of evidence and could not be put there at its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.evidence.proofs import stored_proofs, unchained
from backstop.errors import BackstopError, ConfigurationError
from backstop.model.canonical import canonical_json
from backstop.model.evidence import EvidenceKind
from backstop.repository.evidence import evidence_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.model.evidence import EvidenceRecord
    from backstop.repository.catalog import Repository


def catch_up(
    repository: Repository, *, others: Sequence[Repository] = (), now: datetime
) -> tuple[list[str], list[str]]:
    """Add proofs that no record here tells of, then drills and incidents that only others tell of; oldest
    first. The new records say when they are added, and when it happened.

    :param others: repositories that may know of more; one that does not answer is left out.
    :returns: what was added, by subject; and what could not be done, in sentences.
    :raises StorageUnavailableError: the repository does not answer.
    """
    book = repository.evidence
    if book is None:
        raise ConfigurationError(
            f"repository {repository.name} was opened without what evidence takes", hint="this is a defect"
        )
    chain = evidence_of(repository)
    added: list[str] = []
    told: list[str] = []
    here = list(chain.believed())
    for one in unchained(stored_proofs(repository), here):
        if one.proof is None:
            continue
        before = chain.head()
        told += book.enter_proof(repository, one.proof, now=now)
        if chain.head() == before:
            return added, told  # what kept this one out keeps the others out
        added.append(str(one.proof.label))
    for record in _known_elsewhere(here, others):
        before = chain.head()
        told += book.enter_again(repository, record, now=now)
        if chain.head() == before:
            return added, told
        added.append(record.subject)
    return added, told


def _known_elsewhere(here: Sequence[EvidenceRecord], others: Sequence[Repository]) -> list[EvidenceRecord]:
    """What is of the whole target and in other chains alone, once each, oldest first."""
    told = {_what(record) for record in here}
    found: dict[tuple[str, str, bytes], EvidenceRecord] = {}
    for other in others:
        try:
            for record in evidence_of(other).believed():
                if record.kind is not EvidenceKind.PROOF and _what(record) not in told:
                    found.setdefault(_what(record), record)
        except BackstopError:
            continue
    return sorted(found.values(), key=lambda record: (record.happened_at, record.recorded_at))


def _what(record: EvidenceRecord) -> tuple[str, str, bytes]:
    return (record.kind.value, record.subject, canonical_json(record.document))
