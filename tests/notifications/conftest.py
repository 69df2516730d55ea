"""An Airflow configuration of our own, and an inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tests.airflow_home  # noqa: F401
from backstop.repository.inventory import Inventory

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection


@pytest.fixture
def inventory_database(database: ClusterConnection) -> ClusterConnection:
    Inventory(database).migrate()
    return database
