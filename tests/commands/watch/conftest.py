"""A world to be watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.repository.inventory import Inventory
from tests.observing import World

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def remembered(tmp_path: Path, database: ClusterConnection) -> World:
    """The same, with an inventory."""
    inventory = Inventory(database)
    inventory.migrate()
    return World(tmp_path, inventory=inventory)
