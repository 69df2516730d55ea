"""What targets.yaml says of expiry, as the engine takes it. For the CLI and for Airflow alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.expiry.settings import ExpirySettings
from backstop.settings.retention import retention_policies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backstop.model.backup import BackupLabel
    from backstop.targets import Configuration


def expiry_settings(
    configuration: Configuration,
    target_name: str,
    repository_name: str,
    *,
    accepted: Iterable[BackupLabel] = (),
    holder: str = "expire",
) -> ExpirySettings:
    """For one of the target's repositories.

    :param accepted: backups whose drop in rows or files somebody has looked at.
    :param holder: who expires, in words.
    :raises NotFoundError: no such target.
    """
    return ExpirySettings(
        policies=retention_policies(configuration, target_name, repository_name),
        accepted=frozenset(accepted),
        holder=holder,
    )
