"""What each record comes to in one line, and what is an exception in it: for the cover of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.drill_document import drill_from, sign_off_from
from backstop.model.evidence import EvidenceKind
from backstop.model.incident_document import incident_from
from backstop.reports.drill import scenario_in_words
from backstop.reports.judging import Judged, Objective, objectives_of
from backstop.reports.naming import component_in_words
from backstop.reports.proof import view_proof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from backstop.model.drill import DrillRecord, SignOff
    from backstop.model.evidence import EvidenceRecord
    from backstop.model.incident_record import IncidentRecord
    from backstop.reports.proof import ProofView


@dataclass(frozen=True, slots=True)
class Summary:
    """One thing that happened, however many chains have it.

    :param what: in one line. :param exceptions: a sentence each, the reason first.
    :param objectives: that were measured. :param by: who signed it off.
    :param numbers: of its records, by repository id.
    """

    kind: EvidenceKind
    subject: str
    happened_at: datetime
    judged: Judged
    what: str
    exceptions: tuple[str, ...]
    objectives: tuple[Objective, ...] = ()
    by: str = ""
    numbers: tuple[tuple[str, int], ...] = ()

    @property
    def passed(self) -> bool:
        return self.judged.tone == "good"


def summary_of(record: EvidenceRecord, numbers: tuple[tuple[str, int], ...]) -> Summary:
    """A record whose document cannot be read is an exception, not an error: a bundle is made all the same."""
    try:
        judged, what, exceptions, objectives, by = _READERS[record.kind](record.document, record.subject)
    except IntegrityError as error:
        judged, what = Judged("critical", "cannot be read"), error.message
        exceptions, objectives, by = (f"{record.kind.value} {record.subject}: {error.message}",), (), ""
    return Summary(
        record.kind, record.subject, record.happened_at, judged, what, exceptions, objectives, by, numbers
    )


_Read = tuple[Judged, str, tuple[str, ...], tuple[Objective, ...], str]


def _proof(document: Mapping[str, Any], subject: str) -> _Read:
    proof: ProofView = view_proof(document)
    matched = proof.result.tone == "good"
    judged = Judged("good", "matched") if matched else Judged("critical", "differed")
    compared = ", ".join(f"{name} {_figure(value)}" for name, value in proof.compared[:4])
    what = (
        f"{proof.of} restored and compared: {compared}" if compared else f"{proof.of} could not be restored"
    )
    if matched:
        return judged, what, (), (), ""
    first = proof.differences[0] if proof.differences else what
    more = f", and {len(proof.differences) - 1} more" if len(proof.differences) > 1 else ""
    return judged, what, (f"Proof of {subject} differed: {first}{more}",), (), ""


def _drill(document: Mapping[str, Any], subject: str) -> _Read:
    drill: DrillRecord = drill_from(document)
    judged = Judged("good", "passed") if drill.passed else Judged("critical", "failed")
    objectives = objectives_of(drill.components)
    exceptions = [] if drill.passed else [f"Drill {subject} failed: {scenario_in_words(drill.scenario)}"]
    exceptions += _missed(f"Drill {subject}", objectives)
    if drill.sign_off and not drill.sign_off.accepted:
        exceptions.append(_refused(subject, drill.sign_off))
    by = drill.sign_off.by if drill.sign_off else ""
    return judged, scenario_in_words(drill.scenario), tuple(exceptions), objectives, by


def _sign_off(document: Mapping[str, Any], subject: str) -> _Read:
    said = sign_off_from(document, drill_id=subject)
    judged = Judged("good", "accepted") if said.accepted else Judged("critical", "not accepted")
    exceptions = () if said.accepted else (_refused(subject, said),)
    return judged, f"by {said.by}", exceptions, (), said.by


def _incident(document: Mapping[str, Any], subject: str) -> _Read:
    incident: IncidentRecord = incident_from(document)
    objectives = objectives_of(incident.components)
    judged = Judged("good", "recovered") if incident.recovered else Judged("critical", "not recovered")
    exceptions = (
        [] if incident.recovered else [f"Incident {subject} was not wholly recovered: {incident.what}"]
    )
    exceptions += _missed(f"Incident {subject}", objectives)
    return judged, incident.what, tuple(exceptions), objectives, ""


def _refused(subject: str, said: SignOff) -> str:
    return f"Drill {subject} was not accepted by {said.by}" + (f": {said.remarks}" if said.remarks else "")


def _missed(what: str, objectives: tuple[Objective, ...]) -> Iterator[str]:
    names = [f"{one.name} of {component_in_words(one.component)}" for one in objectives if one.met is False]
    if names:
        yield f"{what} missed {', '.join(names)}"


def _figure(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value


_READERS: dict[EvidenceKind, Callable[[Mapping[str, Any], str], _Read]] = {
    EvidenceKind.PROOF: _proof,
    EvidenceKind.DRILL: _drill,
    EvidenceKind.SIGN_OFF: _sign_off,
    EvidenceKind.INCIDENT: _incident,
}
