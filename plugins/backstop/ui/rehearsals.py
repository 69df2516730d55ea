"""Drills and incidents of a target in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.model.incident_document import incident_from
from backstop.reports.drill import longest, most_lost, scenario_in_words
from backstop.reports.judging import Judged, objectives_in_words, objectives_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.model.drill import DrillRecord
    from backstop.repository.drills import IncidentRow


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A drill, or what was none: an incident, in one line.

    :param kind: ``drill`` or ``incident``, and :param name: its id: what its page is called by.
    :param at: when it ended, or was declared if it goes on.
    :param by: who signed it off, or declared it; empty: nobody. :param accepted: None: nobody has said.
    """

    kind: str
    name: str
    at: datetime
    what: str
    result: Judged
    objectives: Judged
    longest: str
    most_lost: str
    by: str = ""
    accepted: bool | None = None


def drill_line(drill: DrillRecord) -> Rehearsal:
    """Whether it passed, and whether objectives were met, are two things."""
    signed = drill.sign_off
    return Rehearsal(
        "drill",
        drill.drill_id,
        drill.ended_at,
        scenario_in_words(drill.scenario),
        Judged("good", "passed") if drill.passed else Judged("critical", "failed"),
        objectives_in_words(objectives_of(drill.components)),
        longest(drill.components),
        most_lost(drill.components),
        signed.by if signed else "",
        signed.accepted if signed else None,
    )


def incident_line(row: IncidentRow) -> Rehearsal:
    """Of a document that another version wrote, what the inventory itself knows."""
    result = Judged("warning", "goes on") if row.closed_at is None else Judged("unknown", "closed")
    at = row.closed_at or row.declared_at
    nothing = Judged("unknown", "not known")
    try:
        incident = incident_from(row.document)
    except IntegrityError:
        return Rehearsal("incident", row.incident_id, at, "", result, nothing, "", "")
    if row.closed_at is not None:
        result = Judged("good", "recovered") if incident.recovered else Judged("critical", "not recovered")
    return Rehearsal(
        "incident",
        row.incident_id,
        at,
        incident.what,
        result,
        objectives_in_words(objectives_of(incident.components)),
        longest(incident.components),
        most_lost(incident.components),
        incident.declared_by,
    )


def rehearsals_of(drills: Sequence[DrillRecord], incidents: Sequence[IncidentRow]) -> list[Rehearsal]:
    """All of them, the newest first."""
    lines = [*map(drill_line, drills), *map(incident_line, incidents)]
    return sorted(lines, key=lambda one: (one.at, one.name), reverse=True)
