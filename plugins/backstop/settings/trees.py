"""What targets.yaml says of a file tree, for those who watch it and choose among its backups.

For the CLI and for Airflow alike.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.model.backup import BackupLabel
from backstop.settings.database import staging
from backstop.wiring import find_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.commands.trees.bursts import Rhythm
    from backstop.commands.trees.comparison import WatchedTree
    from backstop.commands.trees.settings import TreeBackupSettings, TreeRestoreSettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


def watch_rhythm(configuration: Configuration, target: str, tree: str) -> Rhythm:
    """How changes of one of this target's file trees are gathered.

    :raises NotFoundError: no such tree.
    """
    from backstop.commands.trees.bursts import Rhythm
    from backstop.targets.trees import OnChange

    on_change = find_tree(configuration, target, tree).on_change or OnChange()
    return Rhythm(settle=on_change.settle, at_most=on_change.at_most, poll=on_change.poll)


def watched_tree(
    configuration: Configuration,
    target: str,
    tree: str,
    repositories: Sequence[Repository],
    *,
    keyring: Keyring,
) -> WatchedTree:
    """One of this target's file trees, to be compared with its newest backup.

    :raises NotFoundError: no such tree.
    """
    from backstop.commands.trees.comparison import WatchedTree

    rules = find_tree(configuration, target, tree)
    return WatchedTree(
        name=tree,
        repositories=repositories,
        keyring=keyring,
        staging=tree_staging(configuration, target, tree, repositories),
        patterns=tuple(rules.paths),
        exclude=tuple(rules.exclude),
        one_file_system=rules.one_file_system,
    )


def tree_backup_choice(text: str) -> tuple[str | None, datetime | None]:
    """Which backup of a tree: ``latest``, a label, or a time with its zone: the newest finished by then.

    :returns: the label, or the time, or neither.
    :raises ConfigurationError: it is none of them.
    """
    text = text.strip()
    if text in ("", "latest"):
        return None, None
    if BackupLabel.is_one(text):
        return text, None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if at.tzinfo is not None:
            return None, at
    except ValueError:
        pass
    raise ConfigurationError(
        f"{text!r} is neither a backup's label nor a time with its zone",
        hint="write latest, 20261123T020000Z-tree-media, or 2026-11-23T12:00:00Z",
    )


def tree_staging(
    configuration: Configuration, target: str, tree: str, repositories: Sequence[Repository]
) -> Path:
    """Where backups and restores of this tree keep what is on its way."""

    return find_tree(configuration, target, tree).spool or staging(configuration, target, repositories)


def tree_backup_settings(
    configuration: Configuration, target: str, tree: str, repositories: Sequence[Repository]
) -> TreeBackupSettings:
    """How to back one of this target's file trees up.

    :raises NotFoundError: no such tree.
    """
    from backstop.commands.trees.settings import TreeBackupSettings
    from backstop.wiring import find_tree

    rules = find_tree(configuration, target, tree)
    return TreeBackupSettings(
        staging=rules.spool or staging(configuration, target, repositories),
        patterns=tuple(rules.paths),
        exclude=tuple(rules.exclude),
        one_file_system=rules.one_file_system,
        unreadable=rules.unreadable,
    )


def tree_restore_settings(
    configuration: Configuration, target: str, tree: str, repositories: Sequence[Repository]
) -> TreeRestoreSettings:
    """How to restore one of this target's file trees.

    :raises NotFoundError: no such tree.
    """
    from backstop.commands.trees.settings import TreeRestoreSettings
    from backstop.wiring import find_tree

    rules = find_tree(configuration, target, tree)
    return TreeRestoreSettings(
        scratch=rules.spool or staging(configuration, target, repositories),
        patterns=tuple(rules.paths),
        owner=rules.restore.owner,
        after_restore=tuple(tuple(argv) for argv in rules.restore.after_restore),
        timeout=rules.restore.timeout,
        undo_on_failure=rules.restore.undo_on_failure,
    )
