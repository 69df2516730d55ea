"""The asset that a published backup updates, and that wakes its verification."""

from __future__ import annotations

from airflow.sdk import Asset


def database_backups(target: str) -> Asset:
    """Backups of this target's database; each event's extra holds the ``label``.

    The scheme starts with ``x-`` because Airflow leaves such URIs alone.
    """
    return Asset(name=f"Backups of {target}", uri=f"x-backstop://{target}/database", group="backups")


def cluster_backups(target: str) -> Asset:
    """Base backups of this target's cluster; each event's extra holds the ``label``."""
    return Asset(name=f"Base backups of {target}", uri=f"x-backstop://{target}/cluster", group="backups")
