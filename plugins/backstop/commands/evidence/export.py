"""``evidence export``: what an auditor is given for a period, readable and checkable without Backstop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from backstop import __version__
from backstop.commands.evidence.bundle import new_bundle
from backstop.commands.evidence.by_hand import CHECK, OPENSSL, README
from backstop.commands.evidence.heads import HEADS_FILE, heads_document
from backstop.errors import IntegrityError, NotFoundError, ObjectMissingError
from backstop.model.canonical import canonical_json, format_time
from backstop.model.figures import exact_time
from backstop.repository.evidence import evidence_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.evidence.bundle import Bundle
    from backstop.commands.evidence.verify import ChainVerdict, EvidenceVerdict
    from backstop.crypto.signing import TrustedSigner
    from backstop.model.evidence import ChainHead, EvidenceRecord


class CoverPage(Protocol):
    """Draws the bundle's first page (:mod:`backstop.reports`)."""

    def __call__(
        self,
        *,
        target: str,
        begins_at: datetime,
        ends_at: datetime,
        records: Sequence[EvidenceRecord],
        verdict: Sequence[str],
        heads: Mapping[str, ChainHead],
        names: Mapping[str, str],
        reports: Mapping[tuple[str, int], str],
        exported_at: datetime,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was handed out. :param records: by repository, how many. :param left_out: sentences."""

    out: Path
    records: Mapping[str, int]
    reports: int
    left_out: tuple[str, ...]


def export_evidence(
    verdict: EvidenceVerdict,
    *,
    begins_at: datetime,
    ends_at: datetime,
    out: Path,
    cover: CoverPage,
    now: datetime,
) -> ExportReport:
    """Write the records of a period, whatever was found wrong: that is written too.

    A period is one by when records were written, which a chain is in the order of: so what is handed out
    has no holes of its own. Records that are not believed are named and not handed out.

    :param verdict: of all the target's repositories. :param ends_at: exclusive.
    :param out: a new folder, or a new ``….zip``.
    :raises NotFoundError: no record is of the period.
    """
    picked = {
        chain.repository.name: [one for one in chain.records if begins_at <= one.recorded_at < ends_at]
        for chain in verdict.chains
    }
    every = [record for records in picked.values() for record in records]
    if not every:
        raise NotFoundError(
            f"no evidence of {verdict.target} was recorded from {exact_time(begins_at)} "
            f"until {exact_time(ends_at)}",
            hint=f"see `python -m backstop evidence list --target {verdict.target}`",
        )
    signers = _signers(verdict)
    findings = _findings(verdict)
    with new_bundle(out, made_at=now) as bundle:
        pages: dict[tuple[str, int], str] = {}
        left_out: list[str] = []
        for chain in verdict.chains:
            _add_chain(bundle, chain, picked[chain.repository.name], pages, left_out)
        page = cover(
            target=verdict.target,
            begins_at=begins_at,
            ends_at=ends_at,
            records=sorted(every, key=lambda one: (one.happened_at, one.repository_id, one.number)),
            verdict=[*findings, *left_out],
            heads=verdict.heads,
            names={chain.repository_id: chain.repository.name for chain in verdict.chains},
            reports=pages,
            exported_at=now,
        )
        bundle.add("index.html", page)
        for key_id, signer in signers.items():
            bundle.add(f"keys/{key_id}.pem", signer.pem)
        bundle.add(HEADS_FILE, _pretty(heads_document(verdict.target, verdict.heads)))
        bundle.add("verification.json", _pretty(verification_document(verdict, at=now)))
        bundle.add("check.py", CHECK)
        bundle.add("README.txt", _readme(verdict.target, begins_at, ends_at, picked, now))
    return ExportReport(
        out, {name: len(records) for name, records in picked.items()}, len(pages), tuple(left_out)
    )


def verification_document(verdict: EvidenceVerdict, *, at: datetime) -> dict[str, Any]:
    """A verdict as JSON; what ``--head`` reads too."""
    return {
        **heads_document(verdict.target, verdict.heads),
        "faults": [
            {
                "kind": fault.kind.value,
                "number": fault.number,
                "repository": chain.repository.name,
                "sentence": fault.sentence,
            }
            for chain in verdict.chains
            for fault in chain.faults
        ],
        "lost_chains": list(verdict.lost),
        "not_read": {name: error.message for name, error in verdict.unread.items()},
        "records": {chain.repository.name: len(chain.records) for chain in verdict.chains},
        "remarks": [
            *verdict.remarks,
            *(f"{chain.repository.name}: {remark}" for chain in verdict.chains for remark in chain.remarks),
        ],
        "repositories": {chain.repository.name: chain.repository_id for chain in verdict.chains},
        "sound": verdict.sound and not verdict.unread,
        "verified_at": format_time(at),
    }


def _add_chain(
    bundle: Bundle,
    chain: ChainVerdict,
    records: Sequence[EvidenceRecord],
    pages: dict[tuple[str, int], str],
    left_out: list[str],
) -> None:
    name, stored = chain.repository.name, evidence_of(chain.repository)
    for record in records:
        bundle.add(f"records/{name}/{record.name}", canonical_json(record.to_dict()))
        if not record.report_sha256:
            continue
        try:
            page = stored.report(record)
        except (IntegrityError, ObjectMissingError) as error:
            left_out.append(f"{name}: {error.message}")
            continue
        href = f"reports/{name}/{record.report_name}"
        bundle.add(href, page)
        pages[record.repository_id, record.number] = href


def _findings(verdict: EvidenceVerdict) -> list[str]:
    silent = [
        f"repository {name} could not be read, and is not in here: {error.message}"
        for name, error in verdict.unread.items()
    ]
    return [*verdict.sentences(), *silent, *verdict.remarks]


def _signers(verdict: EvidenceVerdict) -> dict[str, TrustedSigner]:
    """Whoever may sign evidence, by key id."""
    return {
        key_id: signer
        for chain in verdict.chains
        for key_id, signer in chain.repository.catalog.trust.signers.items()
        if signer.role == "proof"
    }


def _readme(
    target: str,
    begins_at: datetime,
    ends_at: datetime,
    picked: Mapping[str, Sequence[EvidenceRecord]],
    now: datetime,
) -> str:
    repository, record = next((name, records[0]) for name, records in picked.items() if records)
    signature = record.signature
    openssl = OPENSSL[signature.algorithm].format(key=signature.key) if signature else ""
    return README.format(
        target=target,
        begins_at=exact_time(begins_at),
        ends_at=exact_time(ends_at),
        version=__version__,
        exported_at=exact_time(now),
        example=f"records/{repository}/{record.name}",
        openssl=openssl,
    )


def _pretty(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
