"""What a probe, and the application it asks, are told of where everything is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection

TREE = "BACKSTOP_TREE_"


def restored_environment(database: ClusterConnection | None, trees: Mapping[str, Path]) -> dict[str, str]:
    """``PGHOST`` and its like lead to the restored database and nowhere else, ``BACKSTOP_TREE_<NAME>`` to
    each restored tree: the folder under which its files have their whole paths.

    :param database: None: there is none; then a client finds no server instead of the live one.
    """
    environment = {tree_variable(name): str(root) for name, root in trees.items()}
    # libpq would otherwise look for services and passwords of whoever runs the drill.
    environment |= {"PGSERVICEFILE": "/nonexistent/pg_service.conf", "PGPASSFILE": "/nonexistent/pgpass"}
    if database is None:
        return environment | {"PGHOST": "/nonexistent", "PGPORT": "1"}
    return environment | {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGUSER": database.user,
        "PGDATABASE": database.dbname,
    }


def tree_variable(name: str) -> str:
    """``BACKSTOP_TREE_MEDIA_2`` for the tree ``media-2``."""
    return TREE + re.sub(r"[^A-Z0-9]", "_", name.upper())
