"""What a check of the keys showed is kept, and the watch tells of it until the next one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.keys.canary import Opened
from backstop.commands.keys.outcome import keep_outcome
from backstop.commands.watch.canaries import look_at_canaries
from backstop.commands.watch.observe import observe_target
from backstop.model.finding import Level
from backstop.repository.inventory import Inventory
from backstop.repository.key_canaries import KeyCanaries

if TYPE_CHECKING:
    from backstop.commands.watch.part import Part
    from backstop.postgres.connection import ClusterConnection
    from tests.observing import World

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
OPENS = Opened("s3", "newest dump", "calibrify/data/1")
CLOSED = Opened(
    "s3", "oldest dump", "calibrify/data/0", why="KMS lets nobody decrypt", step="grant kms:Decrypt"
)


@pytest.fixture
def inventory(database: ClusterConnection) -> Inventory:
    return Inventory(database)


def keep(inventory: Inventory | None, *opened: Opened, at: datetime = NOW) -> list[str]:
    return keep_outcome(inventory, "calibrify", "s3", opened, now=at)


def look(
    inventory: Inventory | None, *, now: datetime = NOW, repositories: tuple[str, ...] = ("s3",)
) -> Part:
    there = [SimpleNamespace(name=name) for name in repositories]
    target = SimpleNamespace(name="calibrify", repositories=there)
    sight: Any = SimpleNamespace(target=target, shelves={}, now=now)
    return look_at_canaries(sight, inventory)


def test_the_watch_tells_what_did_not_open_until_it_opens_again(inventory: Inventory) -> None:
    assert keep(inventory, CLOSED, OPENS) == []
    (found,) = look(inventory).findings
    assert (found.level, found.subject) == (Level.CRITICAL, "opening s3")
    assert "1 of 2 objects" in found.sentence
    assert "the oldest dump: KMS lets nobody decrypt" in found.sentence
    assert found.next_step == "grant kms:Decrypt"

    later = NOW + timedelta(days=1)
    keep(inventory, OPENS, OPENS, at=later)
    assert look(inventory, now=later).findings == ()


def test_a_check_that_nobody_made_since_is_told(inventory: Inventory) -> None:
    keep(inventory, OPENS)

    assert look(inventory, now=NOW + timedelta(days=2)).findings == ()
    (late,) = look(inventory, now=NOW + timedelta(days=3)).findings
    assert late.level is Level.WARNING
    assert "last tried on 2026-11-23" in late.sentence


def test_a_repository_that_is_no_more_of_the_target_is_not_told_of(inventory: Inventory) -> None:
    keep(inventory, CLOSED)

    assert look(inventory, repositories=("local",)).findings == ()


def test_where_nothing_is_stored_nothing_is_kept(inventory: Inventory) -> None:
    inventory.migrate()

    assert keep(inventory) == []
    assert KeyCanaries(inventory.connection).newest("calibrify") == []
    assert keep(None, CLOSED) == []


def test_an_inventory_that_does_not_answer_is_named_and_leaves_what_is_open_open(
    inventory: Inventory,
) -> None:
    nowhere = Inventory(replace(inventory.connection, port=1))

    (sentence,) = keep(nowhere, CLOSED)
    assert "does not know what opened in s3" in sentence
    part = look(nowhere)
    assert part.findings == ()
    assert part.unjudged == {("key", "opening s3")}
    assert part.unseen


def test_a_watch_of_everything_tells_it_too(remembered: World) -> None:
    remembered.dump(0)
    keep_outcome(remembered.inventory, "calibrify", "s3", [CLOSED], now=remembered.now)

    observed = observe_target(
        remembered.target(),
        inventory=remembered.inventory,
        clock=lambda: remembered.now,
        rhythm=remembered.rhythm,
    )

    found = {one.subject: one.level for one in observed.findings if one.check == "key"}
    assert found == {"opening s3": Level.CRITICAL}


def test_a_watch_of_everything_tells_of_a_repository_that_is_never_tried(remembered: World) -> None:
    remembered.dump(0)
    remembered.at(3)
    keep_outcome(remembered.inventory, "calibrify", "s3", [OPENS], now=remembered.now)

    observed = observe_target(
        remembered.target(),
        inventory=remembered.inventory,
        clock=lambda: remembered.now,
        rhythm=remembered.rhythm,
    )

    found = [one for one in observed.findings if one.check == "key"]
    assert [(one.subject, one.level) for one in found] == [("opening local", Level.WARNING)]
    assert "was never tried" in found[0].sentence
