"""An inventory, and an end to every claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.repository.claims import HeldClaim
from backstop.repository.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection


@pytest.fixture
def inventory(database: ClusterConnection) -> Inventory:
    inventory = Inventory(database)
    inventory.migrate()
    return inventory


@pytest.fixture(autouse=True)
def nothing_is_renewed_for_ever(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A claim that a test leaves as it is ends with it: its thread would log into all tests that follow."""
    started: list[HeldClaim] = []
    start = HeldClaim.start

    def remember(claim: HeldClaim) -> None:
        started.append(claim)
        start(claim)

    monkeypatch.setattr(HeldClaim, "start", remember)
    yield
    for claim in started:
        claim.end("the test is over")
