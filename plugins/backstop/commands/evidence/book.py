"""How every proof becomes evidence by itself, wherever it is recorded.

A proof is stored first and for itself, as ever. When the chain cannot be written (no KMS, a full disk), the
proof counts all the same, somebody is told, and ``evidence catch-up`` puts it there later; until then
``evidence verify`` names it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.evidence.record import record_evidence
from backstop.errors import BackstopError
from backstop.model.evidence import EvidenceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.crypto.signing import DocumentSigner
    from backstop.model.evidence import EvidenceRecord
    from backstop.model.legacy_proof import LegacyProof
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory

log = logging.getLogger(__name__)


@dataclass(slots=True)
class EvidenceBook:
    """What recording evidence of one target takes. Nothing is opened before something is recorded.

    :param signer: opens the key. :param witnesses: opens the target's repositories, whose heads are named.
    :param inventory: opens it; None where there is none. :param render: draws reports.
    """

    signer: Callable[[], DocumentSigner]
    witnesses: Callable[[], Sequence[Repository]]
    inventory: Callable[[], Inventory | None]
    render: Callable[[EvidenceRecord], str] | None
    _silent: set[str] = field(default_factory=set)

    def enter_proof(self, repository: Repository, proof: Proof | LegacyProof, *, now: datetime) -> list[str]:
        """Record it in the chain of the repository that it is of.

        :returns: sentences, also logged as warnings: what could not be done. The proof is recorded whatever.
        """
        try:
            told = self._enter(
                repository, EvidenceKind.PROOF, str(proof.label), proof.to_dict(), proof.finished_at, now
            )
        except BackstopError as error:
            told = [
                f"the proof of {proof.label} in {repository.name} is recorded, but not in the chain of "
                f"evidence yet: {error.message}; later `python -m backstop evidence catch-up` puts it there"
            ]
        for sentence in told:
            log.warning("%s", sentence)
        return told

    def enter_again(self, repository: Repository, record: EvidenceRecord, *, now: datetime) -> list[str]:
        """Record here what another repository's record tells of.

        :returns: sentences: what could not be done.
        """
        try:
            return self._enter(
                repository, record.kind, record.subject, record.document, record.happened_at, now
            )
        except BackstopError as error:
            return [f"the evidence of {record.subject} is still not in {repository.name}: {error}"]

    def _enter(
        self,
        repository: Repository,
        kind: EvidenceKind,
        subject: str,
        document: Mapping[str, Any],
        happened_at: datetime,
        now: datetime,
    ) -> list[str]:
        doubts: list[str] = []
        try:
            inventory = self.inventory()
        except BackstopError as error:
            inventory = None
            doubts.append(f"the inventory does not know of the evidence yet: {error.message}")
        recorded = record_evidence(
            kind,
            subject,
            document,
            repositories=[repository],
            witnesses=self._others(repository),
            signer=self.signer,
            happened_at=happened_at,
            now=now,
            render=self.render,
            inventory=inventory,
        )
        self._silent.update(recorded.silent)
        return [*doubts, *recorded.doubts]

    def _others(self, repository: Repository) -> list[Repository]:
        """Without those that did not answer before: a run records many proofs, and patience is long."""
        try:
            known = self.witnesses()
        except BackstopError:
            return []
        return [one for one in known if one.name not in (repository.name, *self._silent)]


def enter_proof(repository: Repository, proof: Proof | LegacyProof, *, now: datetime) -> list[str]:
    """Make evidence of a proof that has just been recorded, where the repository has a book for that.

    :returns: see :meth:`EvidenceBook.enter_proof`.
    """
    return [] if repository.evidence is None else repository.evidence.enter_proof(repository, proof, now=now)
