"""What targets.yaml says of where backups belong, for a sync. For the CLI and for Airflow alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.settings.arguments import named_repository
from backstop.settings.database import staging
from backstop.wiring import every_repository, find_target

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.sync.settings import SyncSettings
    from backstop.model.backup import BackupLabel
    from backstop.model.retention import Candidate, RetentionPlan, WalSeen
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


def sync_settings(
    configuration: Configuration, target_name: str, repositories: Sequence[Repository]
) -> SyncSettings:
    """How this target's repositories are kept in step: each gets what its own retention keeps.

    :raises NotFoundError: no such target.
    """
    from backstop.commands.sync.settings import SyncSettings
    from backstop.model.retention import apply_retention
    from backstop.repository.acceptances import Acceptances
    from backstop.settings.retention import retention_policies

    target = find_target(configuration, target_name)

    def places(label: BackupLabel) -> Collection[str]:
        if not label.tree:
            return target.database.repositories
        tree = target.trees.get(label.tree)
        return (tree.repositories or target.database.repositories) if tree else ()

    def retention(
        name: str, candidates: Sequence[Candidate], now: datetime, seen: Mapping[str, WalSeen]
    ) -> RetentionPlan:
        return apply_retention(
            candidates,
            policies=retention_policies(configuration, target_name, name),
            now=now,
            accepted=Acceptances(named_repository(repositories, name)).labels(),
            seen=seen,
        )

    return SyncSettings(
        staging=staging(configuration, target_name, repositories),
        places=places,
        wal_places=target.database.repositories,
        retention=retention,
    )


def has_several(configuration: Configuration, target_name: str) -> bool:
    """Whether there is anything to keep in step."""
    return len(every_repository(configuration, target_name)) > 1
