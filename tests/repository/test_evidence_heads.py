"""The inventory remembers where chains of evidence ended, and never forgets it for a shorter one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.repository.evidence_heads import known_heads, remember_head
from backstop.storage.memory import MemoryStorage
from tests.evidencing import EvidenceWorld, now

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.repository.inventory import Inventory

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path, inventory: Inventory) -> EvidenceWorld:
    world = EvidenceWorld(tmp_path, {"local": MemoryStorage()})
    for number in (1, 2, 3):
        assert world.record(f"drill-{number}", inventory=inventory).sentences() == []
    return world


def test_the_newest_record_is_remembered(world: EvidenceWorld, inventory: Inventory) -> None:
    chain = world.chain("local")

    assert known_heads(inventory.connection, "calibrify") == {chain.repository_id: chain.head()}
    assert world.verify(inventory=inventory).sound


def test_the_newest_that_is_taken_away_is_missed_even_where_there_is_one_repository(
    world: EvidenceWorld, inventory: Inventory
) -> None:
    world.remove("local", world.key(3))
    assert world.found() == set()

    assert world.found(inventory=inventory) == {("missing", 3)}


def test_a_chain_that_goes_on_without_what_was_taken_away_is_told_and_stays_found(
    world: EvidenceWorld, inventory: Inventory
) -> None:
    known = known_heads(inventory.connection, "calibrify")
    world.remove("local", world.key(3))

    recorded = world.record("drill-4", inventory=inventory)
    world.record("drill-5", inventory=inventory)

    assert "repository local lacks evidence: the inventory knows its record 3" in recorded.sentences()[0]
    assert known_heads(inventory.connection, "calibrify") == known, "the only witness is not made to forget"
    assert world.found(inventory=inventory) == {("changed", 3)}


def test_rebuilding_learns_heads_and_tells_of_lost_evidence(
    world: EvidenceWorld, inventory: Inventory
) -> None:
    with inventory.connection.connect() as session:
        session.execute("TRUNCATE public.evidence_head")
    repository = world.makers["local"].repository

    report = inventory.index(repository)

    chain = world.chain("local")
    assert report.unreadable == ()
    assert known_heads(inventory.connection, "calibrify") == {chain.repository_id: chain.head()}
    world.remove("local", world.key(3))
    [doubt] = inventory.index(repository).unreadable
    assert "lacks evidence: the inventory knows its record 3" in doubt.message
    assert known_heads(inventory.connection, "calibrify")[chain.repository_id].number == 3


def test_a_slower_writer_does_not_set_the_memory_back(world: EvidenceWorld, inventory: Inventory) -> None:
    chain = world.chain("local")
    second = chain.head_at(2)
    assert second is not None

    assert remember_head(inventory.connection, "local", chain, second, now()) == []

    assert known_heads(inventory.connection, "calibrify")[chain.repository_id].number == 3


def test_an_inventory_that_does_not_answer_costs_no_evidence(
    world: EvidenceWorld, inventory: Inventory
) -> None:
    from backstop.repository.inventory import Inventory as Other

    gone = Other(replace(inventory.connection, port=1))

    recorded = world.record("drill-4", inventory=gone)

    assert recorded.records["local"].number == 4
    assert "the inventory does not know yet of the evidence in local" in recorded.sentences()[0]
    verdict = world.verify(inventory=gone)
    assert verdict.sound
    assert "what the inventory remembers was not looked at" in verdict.remarks[0]
