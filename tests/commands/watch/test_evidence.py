"""A watch notices evidence that has gone, and teaches the inventory what is new."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.watch.evidence import look_at_evidence
from backstop.repository.evidence_heads import known_heads
from backstop.repository.inventory import Inventory
from backstop.storage.memory import MemoryStorage
from tests.evidencing import EvidenceWorld

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.watch.part import Part
    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration


@pytest.fixture
def inventory(database: ClusterConnection) -> Inventory:
    inventory = Inventory(database)
    inventory.migrate()
    return inventory


@pytest.fixture
def world(tmp_path: Path) -> EvidenceWorld:
    world = EvidenceWorld(tmp_path, {"local": MemoryStorage(), "s3": MemoryStorage()})
    world.record("drill-1")
    world.record("drill-2")
    return world


def look(world: EvidenceWorld, inventory: Inventory | None, *, down: tuple[str, ...] = ()) -> Part:
    shelves = {
        one.name: SimpleNamespace(name=one.name, repository=one)
        for one in world.repositories
        if one.name not in down
    }
    target = SimpleNamespace(name="calibrify")
    sight: Any = SimpleNamespace(target=target, shelves=shelves, down=dict.fromkeys(down, "down"))
    return look_at_evidence(sight, inventory)


def test_what_is_new_is_remembered_and_nothing_is_wrong(world: EvidenceWorld, inventory: Inventory) -> None:
    assert look(world, inventory).findings == ()
    world.record("drill-3")
    assert look(world, inventory).findings == ()

    heads = {world.chain(name).repository_id: world.chain(name).head() for name in ("local", "s3")}
    assert known_heads(inventory.connection, "calibrify") == heads


@pytest.mark.parametrize("later", [0, 1, 2], ids=["cut off", "one more since", "two more since"])
def test_evidence_that_has_gone_is_a_finding_until_the_memory_is_put_right(
    world: EvidenceWorld, inventory: Inventory, later: int
) -> None:
    look(world, inventory)
    world.remove("s3", world.key(2))
    for number in range(later):
        world.record(f"drill-later-{number}")

    for _ in range(2):
        [finding] = look(world, inventory).findings
        assert finding.key == ("calibrify", "evidence", "evidence in s3")
        assert "its record 2 is not there as the inventory knows it" in finding.sentence
        assert "evidence verify --target calibrify" in finding.next_step
    with inventory.connection.connect() as session:
        session.execute("DELETE FROM public.evidence_head")
    assert look(world, inventory).findings == ()


def test_an_empty_chain_that_was_not_is_a_finding_too(world: EvidenceWorld, inventory: Inventory) -> None:
    look(world, inventory)
    for number in (1, 2):
        world.remove("local", world.key(number))

    assert [one.subject for one in look(world, inventory).findings] == ["evidence in local"]


def test_of_a_repository_that_is_down_nothing_is_judged(world: EvidenceWorld, inventory: Inventory) -> None:
    look(world, inventory)
    world.remove("s3", world.key(2))

    part = look(world, inventory, down=("s3",))

    assert part.findings == ()
    assert part.unjudged == {("evidence", "evidence in s3")}


def test_without_an_inventory_nothing_is_known(world: EvidenceWorld) -> None:
    assert look(world, None).findings == ()
