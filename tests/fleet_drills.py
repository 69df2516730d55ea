"""Drills and incidents of a fleet: some targets have rehearsed, one has had a disaster."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.drill_document import drill_document
from backstop.model.incident_document import incident_document
from tests.evidenced import DRILL, FAILED_DRILL, INCIDENT, NOON, moved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from backstop.model.drill import DrillRecord
    from backstop.model.incident_record import IncidentRecord

DRILL_COLUMNS = (
    "target drill_id scenario began_at ended_at passed objectives_met signed_off_by signed_off_at accepted "
    "document"
)
INCIDENT_COLUMNS = "target incident_id declared_at closed_at document"
ALL_WELL = replace(DRILL, components=DRILL.components[:2])
HISTORIES: dict[int, Sequence[tuple[DrillRecord, int]]] = {
    0: ((DRILL, 12), (FAILED_DRILL, 43)),
    1: ((FAILED_DRILL, 5),),
    3: ((ALL_WELL, 4), (DRILL, 35), (FAILED_DRILL, 66)),
}
"""By the number of a target: drills, and how many days ago each was."""
DISASTERS: dict[int, Sequence[tuple[IncidentRecord, int]]] = {3: ((INCIDENT, 50),)}


def rehearsed(
    number: int, target: str, *, now: datetime
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows of drills, and rows of incidents."""
    drills = [
        _drill(replace(one, target=target, requested_by=f"schedule of run_drill__{target}"))
        for one in _past(HISTORIES.get(number, ()), "drill_id", now)
    ]
    incidents = [
        _incident(replace(one, target=target)) for one in _past(DISASTERS.get(number, ()), "incident_id", now)
    ]
    return drills, incidents


def newest_drill(number: int, *, now: datetime) -> str:
    """The id of the newest one of a target that has rehearsed."""
    return next(one.drill_id for one in _past(HISTORIES[number], "drill_id", now))


def _past(history: Sequence[tuple[Any, int]], name: str, now: datetime) -> Iterator[Any]:
    for record, days in history:
        one = moved(record, now - NOON - timedelta(days=days))
        began_at = getattr(one, "began_at", None) or one.declared_at
        kind, _, tail = getattr(one, name).split("-")
        yield replace(one, **{name: f"{kind}-{began_at:%Y%m%dT%H%M%SZ}-{tail}"})


def _drill(one: DrillRecord) -> tuple[Any, ...]:
    signed = one.sign_off
    return (
        one.target, one.drill_id, one.scenario, one.began_at, one.ended_at, one.passed, one.objectives_met,
        signed.by if signed else None, signed.at if signed else None, signed.accepted if signed else None,
        json.dumps(drill_document(one)),
    )  # fmt: skip


def _incident(one: IncidentRecord) -> tuple[Any, ...]:
    document = json.dumps(incident_document(one))
    return one.target, one.incident_id, one.declared_at, one.ended_at, document
