"""A world to be watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backstop.repository.inventory import Inventory
from tests.observing import World

if TYPE_CHECKING:
    from collections.abc import Callable
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


@pytest.fixture
def query(database: ClusterConnection) -> Callable[[str], list[Any]]:
    """Asks the inventory."""

    def query(sql: str) -> list[Any]:
        with database.connect() as session:
            session.execute("SET search_path TO public")
            return session.execute(sql).fetchall()

    return query
