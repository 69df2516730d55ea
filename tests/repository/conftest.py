"""An inventory, and what can be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backstop.repository.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.postgres.connection import ClusterConnection


@pytest.fixture
def inventory(database: ClusterConnection) -> Inventory:
    inventory = Inventory(database)
    inventory.migrate()
    return inventory


@pytest.fixture
def query(database: ClusterConnection) -> Callable[[str], list[Any]]:
    def query(sql: str) -> list[Any]:
        with database.connect() as session:
            session.execute("SET search_path TO public")
            cursor = session.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return query
