"""Holds in the inventory: as the repository has them, and named when their documents are lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.repository.holds import Holds
from backstop.repository.inventory import Inventory
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

pytestmark = pytest.mark.integration

NOW = STARTED + timedelta(hours=1)
TABLES = ("backup_inventory", "backup_proof", "backup_hold")


@pytest.fixture
def maker(tmp_path):
    create_signing_keys(tmp_path / "signing")
    return Maker(
        MemoryStorage(),
        LocalKeyring.create(tmp_path / "keyring.json", STARTED),
        Signer.load(tmp_path / "signing" / "manifest.pem"),
        TrustedSigners.load(tmp_path / "signing" / "trusted.json"),
    )


@pytest.fixture
def verifier(tmp_path, maker):
    return Signer.load(tmp_path / "signing" / "proof.pem")


@pytest.fixture
def held(maker, verifier):
    """Four backups: one held without end, one until tomorrow, one released, one with a damaged hold."""
    labels = [maker.publish(started_at=STARTED + timedelta(days=day)).manifest.label for day in range(4)]
    holds = Holds(maker.repository)
    holds.place(labels[0], reason="audit", who="ada", until=None, now=NOW)
    holds.place(labels[1], reason="move", who="ada", until=NOW + timedelta(days=1), now=NOW)
    holds.place(labels[2], reason="court", who="bob", until=None, now=NOW)
    holds.release(labels[2], 1, who="ada", now=NOW, signer=verifier)
    maker.storage.put_once(f"calibrify/meta/holds/{labels[3]}/1.json", b"?")
    return labels


def test_a_hold_is_a_row_that_says_who_why_until_when_and_who_released_it(inventory, query, maker, held):
    report = inventory.index(maker.repository)

    rows = query(
        "SELECT label, number, reason, who, placed_at, held_until, released_at, released_by, damage "
        "FROM backup_hold ORDER BY label"
    )
    first, second, third, fourth = rows
    assert report.holds == 4
    assert first == (held[0].text, 1, "audit", "ada", NOW, None, None, None, None)
    assert second[5] == NOW + timedelta(days=1)
    assert third[6:8] == (NOW, "ada")
    assert fourth[4] is None
    assert "not JSON" in fourth[8]
    assert ["counts as in force" in str(error) for error in report.unreadable] == [True]


def test_a_hold_that_is_released_later_keeps_its_row(inventory, query, maker, held, verifier):
    inventory.index(maker.repository)
    before = query("SELECT id FROM backup_hold ORDER BY id")
    Holds(maker.repository).release(held[0], 1, who="bob", now=NOW, signer=verifier)

    inventory.index(maker.repository)

    assert query("SELECT id FROM backup_hold ORDER BY id") == before
    assert query(f"SELECT released_by FROM backup_hold WHERE label = '{held[0]}'") == [("bob",)]
    assert query("SELECT last_value FROM backup_hold_id_seq") == [(4,)]


def test_a_hold_whose_document_has_gone_is_named(inventory, query, maker, held):
    inventory.index(maker.repository)
    maker.storage.delete(f"calibrify/meta/holds/{held[0]}/1.json")

    report = inventory.index(maker.repository)

    assert report.missing_holds == (f"hold 1 on {held[0]}",)
    assert query("SELECT label FROM backup_hold WHERE missing") == [(held[0].text,)]
    assert inventory.index(maker.repository).missing_holds == ()


def test_holds_that_went_with_their_backup_are_not_missed(inventory, maker, held):
    inventory.index(maker.repository)
    maker.storage.delete(f"calibrify/meta/manifests/{held[2]}.json")
    for name in ("1.json", "2.json"):
        maker.storage.delete(f"calibrify/meta/holds/{held[2]}/{name}")

    assert inventory.index(maker.repository).missing_holds == ()


def test_what_names_no_backup_is_said_and_hides_no_hold(inventory, maker, held):
    maker.storage.put_once("calibrify/meta/holds/by hand.json", b"please keep everything")

    report = inventory.index(maker.repository)

    assert report.holds == 4
    assert any("by hand" in str(error) for error in report.unreadable)


def test_a_lost_inventory_is_rebuilt_row_for_row_but_for_ids(
    inventory, query, database, maker, held, verifier
):
    for label in held[:2]:
        maker.prove(maker.catalog.backup(label), signer=verifier, matched=label == held[0])
    maker.storage.put_once(f"calibrify/meta/expiring/{held[3]}.json", b"{}")
    inventory.index(maker.repository)
    before = {table: rows_of(query, table) for table in TABLES}
    query(f"DROP TABLE {', '.join(TABLES)}, backup_schema_migration")

    rebuilt = Inventory(database)
    rebuilt.migrate()
    rebuilt.index(maker.repository)

    assert {table: rows_of(query, table) for table in TABLES} == before
    assert [len(before[table]) for table in TABLES] == [4, 2, 4]
    assert {row["status"] for row in before["backup_inventory"]} == {
        "proven", "failed", "completed", "expiring",
    }  # fmt: skip


def rows_of(query, table: str) -> list[dict]:
    order = "label, number" if table == "backup_hold" else "label, finished_at"
    rows = query(f"SELECT to_jsonb({table}) - 'id' - 'indexed_at' FROM {table} ORDER BY {order}")
    return [row for (row,) in rows]
