"""Where the record of an incident goes: the chain of evidence of every repository, and the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.commands.evidence.record import record_evidence
from backstop.errors import BackstopError
from backstop.model.evidence import EvidenceKind
from backstop.model.incident_document import incident_document
from backstop.repository.drills import store_incident
from backstop.wiring import draw_report, inventory_or_why, open_evidence_signer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.credentials import CredentialSource
    from backstop.model.incident_record import IncidentRecord
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


def keep_record(
    record: IncidentRecord,
    configuration: Configuration,
    credentials: CredentialSource,
    repositories: Sequence[Repository],
    *,
    now: datetime,
) -> dict[str, Any]:
    """Evidence first; the inventory is an index, and may have died with Airflow.

    :returns: ``evidence``, the record's number by repository, and ``problems``, a sentence each.
    :raises BackstopError: no repository took it, or it cannot be signed here.
    """
    inventory, why = inventory_or_why(configuration, credentials)
    problems = [why] if why else []
    document = incident_document(record)
    kept = record_evidence(
        EvidenceKind.INCIDENT,
        record.incident_id,
        document,
        repositories=repositories,
        signer=lambda: open_evidence_signer(configuration, record.target, credentials),
        happened_at=record.ended_at or now,
        now=now,
        render=draw_report,
        inventory=inventory,
    )
    problems += kept.sentences()
    if inventory is not None:
        try:
            store_incident(
                inventory,
                target=record.target,
                incident_id=record.incident_id,
                declared_at=record.declared_at,
                closed_at=record.ended_at,
                document=document,
            )
        except BackstopError as error:
            problems.append(f"the inventory does not know of it: {error.message}")
    numbers = {name: one.number for name, one in kept.records.items()}
    return {"evidence": numbers, "outcome": record.outcome, "problems": problems}
