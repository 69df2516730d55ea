"""The assets that published backups update, and the ones that changes of files update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetWatcher

from backstop.model.canonical import canonical_json, sha256_hex
from backstop.triggers.file_changes import FileChangesTrigger

if TYPE_CHECKING:
    from backstop.targets.trees import Tree

_WATCHED = {"paths", "exclude", "one_file_system", "on_change", "repositories", "spool"}


def database_backups(target: str) -> Asset:
    """Backups of this target's database; each event's extra holds the ``label``.

    The scheme starts with ``x-`` because Airflow leaves such URIs alone.
    """
    return Asset(name=f"Backups of {target}", uri=f"x-backstop://{target}/database", group="backups")


def cluster_backups(target: str) -> Asset:
    """Base backups of this target's cluster; each event's extra holds the ``label``."""
    return Asset(name=f"Base backups of {target}", uri=f"x-backstop://{target}/cluster", group="backups")


def tree_backups(target: str, tree: str) -> Asset:
    """Backups of one of this target's file trees; each event's extra holds the ``label``."""
    return Asset(
        name=f"Backups of {tree} of {target}", uri=f"x-backstop://{target}/trees/{tree}", group="backups"
    )


def tree_changes(target: str, tree: Tree) -> Asset:
    """Changes in one of this target's file trees, watched by the triggerer; each event names the first."""
    watched = tree.model_dump(mode="json", include=_WATCHED)
    rules = sha256_hex(canonical_json(watched))[:16]
    return Asset(
        name=f"Changes of {tree.name} of {target}",
        uri=f"x-backstop://{target}/trees/{tree.name}/changes",
        group="changes",
        watchers=[
            AssetWatcher(
                name=f"{tree.name} of {target}",
                trigger=FileChangesTrigger(target=target, tree=tree.name, rules=rules),
            )
        ],
    )
