"""Proofs as they are stored beside a chain of evidence, and as the chain tells of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.evidence import EvidenceKind
from backstop.model.evidence_chain import EvidenceFault, FaultKind
from backstop.model.legacy_proof import LegacyProof
from backstop.model.proof import Proof
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from backstop.model.evidence import EvidenceRecord
    from backstop.repository.catalog import Repository

_BEING_RECORDED = timedelta(minutes=10)
"""So long a proof may lie there before its record of evidence does."""
_LEGACY = "legacy/proofs/"


@dataclass(frozen=True, slots=True)
class StoredProof:
    """A file of ``meta/proofs`` or ``meta/legacy/proofs``.

    :param stored_at: by the storage's clock. :param proof: None: it is not believed.
    """

    key: str
    sha256: str
    stored_at: datetime
    proof: Proof | LegacyProof | None


def stored_proofs(repository: Repository) -> list[StoredProof]:
    """All of the target's in this repository, oldest first."""
    prefix = f"{repository.catalog.target}/meta/"
    own = repository.catalog.repository_id()

    def look(key: str) -> StoredProof | None:
        try:
            body = repository.storage.read(key)
        except ObjectMissingError:
            return None
        proof = None
        try:
            raw = json.loads(body)
            kind = LegacyProof if key.startswith(f"{prefix}{_LEGACY}") else Proof
            proof = kind.from_dict(raw)
            repository.catalog.trust.verify(proof, role="proof")
            if (proof.target, proof.repository_id) != (repository.catalog.target, own):
                proof = None  # put there by hand: it proves nothing here
        except (IntegrityError, KeyError, TypeError, ValueError):
            proof = None
        return StoredProof(key, sha256_hex(body), modified[key], proof)

    modified = {
        info.key: info.modified_at
        for folder in ("proofs/", _LEGACY)
        for info in repository.storage.list(f"{prefix}{folder}")
    }
    found = [one for one in read_ahead(modified, look, name="proof") if one is not None]
    return sorted(found, key=lambda one: (one.stored_at, one.key))


def unchained(proofs: Iterable[StoredProof], records: Iterable[EvidenceRecord]) -> list[StoredProof]:
    """Proofs that count and that no record tells of."""
    told = {_sha256_of(record) for record in records if record.kind is EvidenceKind.PROOF}
    return [one for one in proofs if one.proof is not None and one.sha256 not in told]


def judge_proofs(
    repository: Repository,
    proofs: Sequence[StoredProof],
    records: Sequence[EvidenceRecord],
    *,
    now: datetime,
) -> tuple[list[EvidenceFault], list[str]]:
    """What is wrong between the two, and what is merely worth knowing.

    Proofs go with their backup when that expires; then the chain alone tells of them, as it should. Proofs
    from before the chain began were recorded by a Backstop that kept none.
    """
    began = min((record.recorded_at for record in records), default=None)
    faults: list[EvidenceFault] = []
    older = 0
    for one in unchained(proofs, records):
        if now - one.stored_at < _BEING_RECORDED:
            continue
        if began is not None and one.proof is not None and one.proof.finished_at >= began:
            faults.append(
                EvidenceFault(
                    FaultKind.UNCHAINED_PROOF, None, f"no record of evidence tells of the proof {one.key}"
                )
            )
        else:
            older += 1
    remarks = [f"{_proofs(older)} from before there was evidence"] if older else []
    there = {one.sha256 for one in proofs}
    labels = {label.text for label, _ in repository.catalog.labels()}
    gone = 0
    for record in records:
        if record.kind is not EvidenceKind.PROOF or _sha256_of(record) in there:
            continue
        if record.document.get("what") != "legacy" and record.subject not in labels:
            gone += 1
            continue
        faults.append(
            EvidenceFault(
                FaultKind.LOST_PROOF,
                record.number,
                f"the proof of record {record.label} is not stored as it was, though its backup is there",
            )
        )
    if gone:
        remarks.append(f"{_proofs(gone)} of backups that are not there any more")
    return faults, remarks


def _sha256_of(record: EvidenceRecord) -> str:
    document: dict[str, Any] = dict(record.document)
    return sha256_hex(canonical_json(document))


def _proofs(count: int) -> str:
    return "1 proof" if count == 1 else f"{count} proofs"
