"""What targets.yaml says of retention, as the policies that decide. For the CLI and for Airflow alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.retention import RetentionPolicy
from backstop.targets.retention import as_rules
from backstop.wiring import find_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.backup import BackupLabel
    from backstop.targets import Configuration, Target
    from backstop.targets.retention import Retention


def retention_policies(
    configuration: Configuration, target_name: str, repository_name: str
) -> Callable[[BackupLabel], RetentionPolicy]:
    """What one of the target's repositories keeps, by the kind of the backup.

    A repository without retention keeps everything, and so does every one of what targets.yaml no longer
    lists: taking a tree out of it must not be what deletes its backups.

    :raises NotFoundError: no such target.
    """
    target = find_target(configuration, target_name)

    def policy_of(label: BackupLabel) -> RetentionPolicy:
        retention = _retention_of(target, label)
        if retention is None:
            what = f"tree {label.tree}" if label.tree else "`cluster`"
            return RetentionPolicy(without_rules=f"targets.yaml has no {what} of {target_name} any more")
        kept = retention.get(repository_name)
        if kept is None:
            return RetentionPolicy(
                without_rules=f"targets.yaml sets no retention for it in {repository_name}"
            )
        rules = as_rules(kept)
        return RetentionPolicy(
            keep_for=rules.keep_for,
            keep_last=rules.keep_last,
            daily=rules.daily,
            weekly=rules.weekly,
            monthly=rules.monthly,
            yearly=rules.yearly,
            min_proven=rules.min_proven,
        )

    return policy_of


def _retention_of(target: Target, label: BackupLabel) -> Retention | None:
    """None when targets.yaml does not name what was backed up."""
    if label.tree:
        tree = target.trees.get(label.tree)
        return tree.retention if tree else None
    if not label.kind.physical:
        return target.database.retention
    if target.cluster is None:
        return None
    return target.database.retention if target.cluster.retention is None else target.cluster.retention
