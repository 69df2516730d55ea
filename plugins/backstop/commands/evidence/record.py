"""Puts a record of evidence into repositories; one that does not answer keeps it out of no other."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backstop.commands.evidence.heads import newest_heads
from backstop.errors import BackstopError, ConfigurationError
from backstop.repository.evidence import evidence_of
from backstop.repository.evidence_heads import remember_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.crypto.signing import DocumentSigner
    from backstop.model.evidence import EvidenceKind, EvidenceRecord
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RecordedEvidence:
    """What came of it. By the names of repositories.

    :param doubts: sentences about what did not stop it: a report that could not be drawn, an inventory that
        does not answer, a chain that lacks what the inventory knows of it.
    """

    subject: str
    records: dict[str, EvidenceRecord] = field(default_factory=dict)
    failed: dict[str, BackstopError] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    silent: frozenset[str] = frozenset()
    """Names of repositories, witnesses too, that did not say what is newest in them."""

    def sentences(self) -> list[str]:
        """Everything that somebody should know of; empty: all went well."""
        missed = [
            f"the evidence of {self.subject} is not in repository {name}: {error}"
            for name, error in self.failed.items()
        ]
        return [*missed, *self.doubts]


def record_evidence(
    kind: EvidenceKind,
    subject: str,
    document: Mapping[str, Any],
    *,
    repositories: Sequence[Repository],
    signer: DocumentSigner | Callable[[], DocumentSigner],
    happened_at: datetime,
    now: datetime,
    render: Callable[[EvidenceRecord], str] | None = None,
    inventory: Inventory | None = None,
    witnesses: Sequence[Repository] = (),
    unopened: Mapping[str, BackstopError] = MappingProxyType({}),
) -> RecordedEvidence:
    """Record it in every one of these repositories.

    :param document: of JSON's types alone.
    :param signer: or what opens it. :param render: draws the report of a record.
    :param witnesses: further repositories, whose newest records are named in this one.
    :param unopened: by name, those that should have taken it too, and why they could not be opened.
    :raises BackstopError: no repository took it, or it cannot be signed.
    """
    if not repositories:
        raise ConfigurationError(
            f"there is no repository for the evidence of {subject}", hint="name one in targets.yaml"
        )
    signing = signer() if callable(signer) else signer
    doubts: list[str] = []
    result = RecordedEvidence(subject, failed=dict(unopened))
    heads, silent = newest_heads([*repositories, *witnesses])
    for repository in repositories:
        if repository.name in silent:  # asked once: patience with one that is down is minutes
            result.failed[repository.name] = silent[repository.name]
            continue
        try:
            chain = evidence_of(repository)
            result.records[repository.name] = record = chain.append(
                kind,
                subject,
                document,
                happened_at=happened_at,
                now=now,
                signer=signing,
                render=None if render is None else _careful(render, doubts),
                heads={known: head for known, head in heads.items() if known != chain.repository_id},
            )
        except BackstopError as error:
            result.failed[repository.name] = error
            continue
        heads[chain.repository_id] = record.head
        if inventory is not None:
            doubts += remember_head(
                inventory.connection, repository.name, chain, record.head, record.recorded_at
            )
    if not result.records:
        raise next(iter(result.failed.values()))
    result.silent = frozenset(silent)
    result.doubts = tuple(dict.fromkeys(doubts))
    return result


def _careful(render: Callable[[EvidenceRecord], str], doubts: list[str]) -> Callable[[EvidenceRecord], str]:
    """A page that cannot be drawn must not cost the record."""

    def draw(record: EvidenceRecord) -> str:
        try:
            return render(record)
        except Exception as error:
            log.exception("The report of %s cannot be drawn", record.label)
            doubts.append(
                f"record {record.label} has no report: it cannot be drawn ({type(error).__name__}: {error})"
            )
            return ""

    return draw
