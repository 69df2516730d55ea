"""Two repositories that keep evidence, and somebody with access to their bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.evidence.book import EvidenceBook
from backstop.commands.evidence.record import RecordedEvidence, record_evidence
from backstop.commands.evidence.verify import EvidenceVerdict, verify_evidence
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.canonical import canonical_json
from backstop.model.evidence import EvidenceKind, EvidenceRecord
from backstop.repository.evidence import EvidenceChain, evidence_of
from tests.making import STARTED, Maker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from backstop.crypto.signing import DocumentSigner
    from backstop.model.evidence_chain import KnownHead
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory
    from backstop.storage.base import Storage

DIFFERENT_DAY = timedelta(days=3)


def now() -> datetime:
    """What a storage's clock says too: dates of records are held against it."""
    return datetime.now(timezone.utc)


def page(record: EvidenceRecord) -> str:
    return f"<!doctype html><title>{record.label}</title>"


@dataclass
class EvidenceWorld:
    """Repositories by name, all of one target, and the keys of writer and verifier."""

    folder: Path
    storages: Mapping[str, Storage]
    makers: dict[str, Maker] = field(init=False)

    def __post_init__(self) -> None:
        signing = self.folder / "signing"
        if not signing.exists():
            create_signing_keys(signing)
        self.trust = TrustedSigners.load(signing / "trusted.json")
        self.verifier = Signer.load(signing / "proof.pem")
        self.writer = Signer.load(signing / "manifest.pem")
        ring = self.folder / "ring.json"
        keyring = LocalKeyring.load(ring) if ring.exists() else LocalKeyring.create(ring, STARTED)
        self.makers = {
            name: Maker(storage, keyring, self.writer, self.trust, name=name)
            for name, storage in self.storages.items()
        }

    @property
    def repositories(self) -> list[Repository]:
        return [maker.repository for maker in self.makers.values()]

    def booked(
        self, name: str, *, signer: Callable[[], DocumentSigner] | None = None, inventory: Any = None
    ) -> Repository:
        """A repository as wiring opens it: proofs become evidence."""
        book = EvidenceBook(
            signer=signer or (lambda: self.verifier),
            witnesses=lambda: self.repositories,
            inventory=lambda: inventory,
            render=page,
        )
        return replace(self.makers[name].repository, evidence=book)

    def chain(self, name: str) -> EvidenceChain:
        return evidence_of(self.makers[name].repository)

    def record(
        self,
        subject: str = "drill-1",
        *,
        at: datetime | None = None,
        signer: DocumentSigner | None = None,
        inventory: Inventory | None = None,
        only: str | None = None,
    ) -> RecordedEvidence:
        return record_evidence(
            EvidenceKind.DRILL,
            subject,
            {"passed": True, "subject": subject},
            repositories=[one for one in self.repositories if only in (None, one.name)],
            signer=signer or self.verifier,
            happened_at=at or now(),
            now=at or now(),
            render=page,
            inventory=inventory,
        )

    def record_five(self) -> None:
        for number in range(1, 6):
            self.record(f"drill-{number}")

    def verify(
        self, *, inventory: Inventory | None = None, kept: Mapping[str, KnownHead] | None = None
    ) -> EvidenceVerdict:
        return verify_evidence(
            self.repositories,
            target="calibrify",
            inventory=inventory,
            kept=kept,
            now=now() + timedelta(hours=1),
        )

    def found(self, name: str = "local", **known: Any) -> set[tuple[str, int | None]]:
        """What is wrong in one repository: kinds and numbers."""
        verdict = self.verify(**known)
        return {
            (fault.kind.value, fault.number)
            for chain in verdict.chains
            if chain.repository.name == name
            for fault in chain.faults
        }

    # -- Whoever can write there by other means ----------------------------------------------------------

    def key(self, number: int, *, target: str = "calibrify") -> str:
        return f"{target}/meta/evidence/{number:08d}.json"

    def body(self, name: str, number: int) -> bytes:
        return self.storages[name].read(self.key(number))

    def document(self, name: str, number: int) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body(name, number))
        return document

    def replace(self, name: str, number: int, body: bytes) -> None:
        self.remove(name, self.key(number))
        self.storages[name].put_once(self.key(number), body)

    def put(self, name: str, file: str, body: bytes) -> None:
        self.storages[name].put_once(f"calibrify/meta/evidence/{file}", body)

    def remove(self, name: str, key: str) -> None:
        storage = self.storages[name]
        storage.delete_many((one.key, one.version_id) for one in list(storage.versions_of(key)))

    def forged(self, name: str, number: int, *, signer: Signer, **changes: Any) -> bytes:
        """The record, changed and signed again by somebody."""
        record = EvidenceRecord.from_dict(self.document(name, number))
        return canonical_json(signer.sign(replace(record, **changes)).to_dict())

    def rewrite_from(self, name: str, number: int) -> None:
        """By somebody who has taken the verifier's key: the record is another, and those behind it fit it."""
        last = self.chain(name).head()
        assert last is not None
        record = EvidenceRecord.from_dict(self.document(name, number))
        changed = self.verifier.sign(replace(record, document={"passed": False}))
        self.replace(name, number, canonical_json(changed.to_dict()))
        for later in range(number + 1, last.number + 1):
            body = self.forged(name, later, signer=self.verifier, previous_sha256=changed.sha256)
            changed = EvidenceRecord.from_dict(json.loads(body))
            self.replace(name, later, body)
