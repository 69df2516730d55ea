"""Drills and incidents in the inventory: an index that can be made again from evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.model.drill import SignOff
from backstop.model.evidence import EvidenceKind
from backstop.repository.drills import (
    drills_of,
    enter_evidence,
    list_incidents,
    newest_drills,
    store_drill,
    store_incident,
    store_sign_off,
)
from backstop.repository.inventory import Inventory
from backstop.repository.recollection import recall
from tests.evidenced import DRILL, FAILED_DRILL, INCIDENT, NOON, evidence

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration
UNSIGNED = replace(DRILL, sign_off=None)
SIGNED = SignOff("ada", NOON, accepted=False, remarks="Again, \x00 please")


@pytest.fixture
def inventory(database: ClusterConnection) -> Inventory:
    made = Inventory(database)
    made.migrate()
    return made


def test_a_drill_is_read_as_it_was_stored(inventory: Inventory):
    store_drill(inventory, DRILL)
    store_drill(inventory, DRILL)

    assert drills_of(inventory) == [DRILL]


def test_the_newest_come_first_and_each_target_has_its_newest(inventory: Inventory):
    other = replace(DRILL, target="other")
    before = replace(FAILED_DRILL, ended_at=DRILL.ended_at - timedelta(days=30))
    for one in (DRILL, before, other):
        store_drill(inventory, one)

    assert drills_of(inventory, "calibrify") == [DRILL, before]
    assert len(drills_of(inventory, limit=2)) == 2
    with inventory.connection.connect() as session:
        newest = newest_drills(session)
    assert newest == {"calibrify": DRILL, "other": other}


def test_columns_say_what_reports_ask_for(inventory: Inventory, query):
    store_drill(inventory, FAILED_DRILL)
    store_drill(inventory, DRILL)

    rows = query(
        "SELECT drill_id, scenario, passed, accepted, signed_off_by FROM backup_drill ORDER BY passed"
    )
    assert rows == [
        (FAILED_DRILL.drill_id, "repository:s3", False, None, None),
        (DRILL.drill_id, "all", True, True, "ada"),
    ]


def test_what_somebody_said_of_a_drill_stays_when_its_unsigned_record_is_read_again(
    inventory: Inventory, query
):
    store_drill(inventory, UNSIGNED)
    assert store_sign_off(inventory, "calibrify", DRILL.drill_id, SIGNED)
    store_drill(inventory, UNSIGNED)

    (found,) = drills_of(inventory)
    assert found.sign_off is not None
    assert (found.sign_off.by, found.sign_off.accepted) == ("ada", False)
    assert "\x00" not in found.sign_off.remarks
    columns = "signed_off_by, signed_off_at, accepted"
    assert query(f"SELECT {columns} FROM backup_drill") == [("ada", NOON, False)]


def test_a_sign_off_of_an_unknown_drill_is_said_to_be_one(inventory: Inventory):
    assert not store_sign_off(inventory, "calibrify", "drill-nobody-knows", SIGNED)


def test_a_closed_incident_is_not_opened_by_an_older_copy_of_its_journal(inventory: Inventory):
    asked = {"target": "calibrify", "incident_id": "incident-1", "declared_at": NOON}
    store_incident(inventory, **asked, closed_at=None, document={"seen": 1})
    store_incident(inventory, **asked, closed_at=NOON + timedelta(hours=1), document={"seen": 2})
    store_incident(inventory, **asked, closed_at=None, document={"seen": 1})

    with inventory.connection.connect() as session:
        (found,) = list_incidents(session, "calibrify")
    assert (found.closed_at, found.document) == (NOON + timedelta(hours=1), {"seen": 2})


def test_drills_and_incidents_are_known_again_from_evidence_alone(inventory: Inventory):
    records = [evidence(DRILL), evidence(INCIDENT)]
    malformed = replace(records[0], document={"drill_id": "drill-odd"})

    wrong = enter_evidence(inventory, [*records, malformed])

    assert drills_of(inventory) == [DRILL]
    with inventory.connection.connect() as session:
        (found,) = list_incidents(session)
    assert found.declared_at == INCIDENT.declared_at
    assert len(wrong) == 1
    assert "drill-odd" in wrong[0]


def test_a_sign_off_that_came_later_is_entered_with_its_drill(inventory: Inventory):
    drill = evidence(UNSIGNED)
    later = replace(
        drill,
        number=drill.number + 1,
        kind=EvidenceKind.SIGN_OFF,
        document={"by": "ada", "at": "2026-11-27T09:00:00.000000Z", "accepted": True, "remarks": ""},
    )

    assert enter_evidence(inventory, [drill, later]) == []
    (found,) = drills_of(inventory)
    assert found.sign_off is not None
    assert found.sign_off.accepted


def test_a_document_of_another_version_is_left_out(inventory: Inventory, query):
    store_drill(inventory, DRILL)
    query("UPDATE backup_drill SET document = document - 'components'")

    assert drills_of(inventory) == []


def test_a_watch_remembers_drills(inventory: Inventory):
    store_drill(inventory, DRILL)
    store_drill(inventory, replace(DRILL, target="other"))

    assert recall(inventory, "calibrify").drills == (DRILL,)
