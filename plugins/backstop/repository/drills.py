"""Where the inventory keeps drills and incidents: an index of what is signed in the repositories."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.canonical import parse_time
from backstop.model.documents import fit
from backstop.model.drill_document import (
    drill_document,
    drill_from,
    sign_off_document,
    sign_off_from,
)
from backstop.model.evidence import EvidenceKind
from backstop.postgres.connection import source_errors
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    import psycopg

    from backstop.model.drill import DrillRecord, SignOff
    from backstop.model.evidence import EvidenceRecord
    from backstop.repository.inventory import Inventory

_MOST = 1000


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One real disaster. :param document: what its record of evidence says."""

    target: str
    incident_id: str
    declared_at: datetime
    closed_at: datetime | None
    document: Mapping[str, Any]


def store_drill(inventory: Inventory, record: DrillRecord) -> None:
    """Enter it, or bring it up to date; a sign-off that is known already stays.

    :raises SourceUnavailableError: the inventory does not answer: ``rebuild-inventory`` enters it later.
    """
    with _session(inventory) as session:
        _store(session, record)


def store_sign_off(inventory: Inventory, target: str, drill_id: str, sign_off: SignOff) -> bool:
    """Enter what somebody said of a drill. :returns: False: the inventory knows no such drill."""
    with _session(inventory) as session:
        return _sign(session, target, drill_id, sign_off)


def newest_drill(session: psycopg.Connection[tuple[Any, ...]], target: str) -> DrillRecord | None:
    """The one that ended last."""
    return newest_drills(session, target).get(target)


def newest_drills(
    session: psycopg.Connection[tuple[Any, ...]], target: str | None = None
) -> dict[str, DrillRecord]:
    """By target. A document of another version of Backstop is left out."""
    rows = session.execute(load_sql("inventory/newest_drills").encode(), {"target": target}).fetchall()
    return {one.target: one for one in _read(rows)}


def list_drills(
    session: psycopg.Connection[tuple[Any, ...]], target: str | None = None, limit: int = _MOST
) -> list[DrillRecord]:
    """The newest first."""
    asked = {"target": target, "limit": limit}
    return list(_read(session.execute(load_sql("inventory/drills").encode(), asked).fetchall()))


def drills_of(inventory: Inventory, target: str | None = None, limit: int = _MOST) -> list[DrillRecord]:
    """The same in a session of its own. :raises SourceUnavailableError: the inventory does not answer."""
    with _session(inventory) as session:
        return list_drills(session, target, limit)


def one_drill(session: psycopg.Connection[tuple[Any, ...]], target: str, drill_id: str) -> DrillRecord | None:
    """None: the inventory has no such drill. :raises IntegrityError: another version entered it."""
    asked = {"target": target, "drill_id": drill_id}
    row = session.execute(load_sql("inventory/drill").encode(), asked).fetchone()
    return drill_from(row[0]) if row else None


def one_incident(
    session: psycopg.Connection[tuple[Any, ...]], target: str, incident_id: str
) -> IncidentRow | None:
    """None: the inventory has no such incident."""
    asked = {"target": target, "incident_id": incident_id}
    row = session.execute(load_sql("inventory/incident").encode(), asked).fetchone()
    return IncidentRow(*row) if row else None


def store_incident(
    inventory: Inventory,
    *,
    target: str,
    incident_id: str,
    declared_at: datetime,
    closed_at: datetime | None,
    document: Mapping[str, Any],
) -> None:
    """Enter an incident, or bring it up to date; one that is closed stays closed.

    :raises SourceUnavailableError: the inventory does not answer: ``rebuild-inventory`` enters it later.
    """
    row = IncidentRow(target, incident_id, declared_at, closed_at, document)
    with _session(inventory) as session:
        _store_incident(session, row)


def list_incidents(
    session: psycopg.Connection[tuple[Any, ...]], target: str | None = None, limit: int = _MOST
) -> list[IncidentRow]:
    """The newest first."""
    asked = {"target": target, "limit": limit}
    rows = session.execute(load_sql("inventory/incidents").encode(), asked).fetchall()
    return [IncidentRow(*row) for row in rows]


def enter_evidence(inventory: Inventory, records: Iterable[EvidenceRecord]) -> list[str]:
    """Make drills, sign-offs and incidents known again from one chain of evidence, in its order.

    :param records: whose signatures and chain somebody has checked.
    :returns: one sentence for each that is malformed, and was left out.
    """
    wrong = []
    with _session(inventory) as session:
        for record in records:
            try:
                _enter(session, record)
            except (IntegrityError, KeyError, TypeError, ValueError) as error:
                wrong.append(f"record {record.label} of evidence of {record.target}: {error}")
    return wrong


def _enter(session: psycopg.Connection[tuple[Any, ...]], record: EvidenceRecord) -> None:
    if record.kind is EvidenceKind.DRILL:
        _store(session, drill_from(record.document))
    elif record.kind is EvidenceKind.SIGN_OFF:
        _sign(session, record.target, record.subject, _signed(record))
    elif record.kind is EvidenceKind.INCIDENT:
        declared_at = parse_time(record.document["declared_at"])
        _store_incident(
            session,
            IncidentRow(record.target, record.subject, declared_at, record.happened_at, record.document),
        )


def _signed(record: EvidenceRecord) -> SignOff:
    return sign_off_from(record.document, drill_id=record.subject)


def _store(session: psycopg.Connection[tuple[Any, ...]], record: DrillRecord) -> None:
    from psycopg.types.json import Jsonb

    signed = record.sign_off
    session.execute(
        load_sql("inventory/upsert_drill").encode(),
        {
            "target": record.target,
            "drill_id": record.drill_id,
            "scenario": record.scenario,
            "began_at": record.began_at,
            "ended_at": record.ended_at,
            "passed": record.passed,
            "objectives_met": record.objectives_met,
            "signed_off_by": signed.by if signed else None,
            "signed_off_at": signed.at if signed else None,
            "accepted": signed.accepted if signed else None,
            "document": Jsonb(drill_document(record)),
        },
    )


def _sign(
    session: psycopg.Connection[tuple[Any, ...]], target: str, drill_id: str, sign_off: SignOff
) -> bool:
    from psycopg.types.json import Jsonb

    row = session.execute(
        load_sql("inventory/sign_off_drill").encode(),
        {
            "target": target,
            "drill_id": drill_id,
            "by": sign_off.by,
            "at": sign_off.at,
            "accepted": sign_off.accepted,
            "document": Jsonb(sign_off_document(sign_off)),
        },
    ).fetchone()
    return row is not None


def _store_incident(session: psycopg.Connection[tuple[Any, ...]], row: IncidentRow) -> None:
    from psycopg.types.json import Jsonb

    session.execute(
        load_sql("inventory/upsert_incident").encode(),
        {
            "target": row.target,
            "incident_id": row.incident_id,
            "declared_at": row.declared_at,
            "closed_at": row.closed_at,
            "document": Jsonb(fit(dict(row.document))),
        },
    )


def _read(rows: Iterable[tuple[Any, ...]]) -> Iterator[DrillRecord]:
    for (document,) in rows:
        try:
            yield drill_from(document)
        except IntegrityError:
            continue  # entered by another version


@contextmanager
def _session(inventory: Inventory) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    connection = inventory.connection
    with (
        source_errors(f"inventory {connection.location}", secret=connection.password),
        connection.connect(autocommit=False, application_name="backstop:drills") as session,
    ):
        yield session
