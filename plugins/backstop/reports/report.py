"""One record of evidence as one self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.drill_document import drill_from, sign_off_from
from backstop.model.evidence import EvidenceKind
from backstop.model.incident_document import incident_from
from backstop.reports.drill import view_drill
from backstop.reports.incident import view_incident
from backstop.reports.proof import view_proof
from backstop.reports.rendering import render_page, render_part

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

    from backstop.model.drill import DrillRecord
    from backstop.model.evidence import EvidenceRecord
    from backstop.model.incident_record import IncidentRecord


def render_report(record: EvidenceRecord) -> str:
    """The page, for a record that need not be signed yet; the same record gives the same bytes.

    :raises IntegrityError: its document is malformed.
    """
    return _PAGES[record.kind](record)


def drill_part(drill: DrillRecord) -> Markup:
    """What :func:`render_report` shows of a drill, to stand within another page."""
    return render_part("drill.html", view=view_drill(drill), record=None)


def drill_page(drill: DrillRecord) -> str:
    """The whole page, for a drill whose record of evidence is not at hand."""
    return render_page("drill.html", view=view_drill(drill), record=None)


def incident_page(incident: IncidentRecord) -> str:
    """The whole page, for an incident whose record of evidence is not at hand."""
    return render_page("incident.html", view=view_incident(incident), record=None)


def incident_part(incident: IncidentRecord) -> Markup:
    """What :func:`render_report` shows of an incident, to stand within another page."""
    return render_part("incident.html", view=view_incident(incident), record=None)


def _drill(record: EvidenceRecord) -> str:
    return render_page("drill.html", view=view_drill(drill_from(record.document)), record=record)


def _incident(record: EvidenceRecord) -> str:
    return render_page("incident.html", view=view_incident(incident_from(record.document)), record=record)


def _proof(record: EvidenceRecord) -> str:
    return render_page("proof.html", view=view_proof(record.document), record=record)


def _sign_off(record: EvidenceRecord) -> str:
    said = sign_off_from(record.document, drill_id=record.subject)
    return render_page("sign_off.html", said=said, record=record)


_PAGES: dict[EvidenceKind, Callable[[EvidenceRecord], str]] = {
    EvidenceKind.DRILL: _drill,
    EvidenceKind.INCIDENT: _incident,
    EvidenceKind.PROOF: _proof,
    EvidenceKind.SIGN_OFF: _sign_off,
}
