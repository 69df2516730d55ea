"""What targets.yaml says of base backups, WAL and recovery, as the settings that commands take."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.settings.database import as_queries, staging

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.commands.base.settings import BaseBackupSettings
    from backstop.commands.database.swap import ApplicationCommands
    from backstop.commands.recovery.recover import RecoverSettings
    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.model.backup import BackupKind
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


def base_backup_settings(
    configuration: Configuration, target: str, repositories: Sequence[Repository]
) -> BaseBackupSettings:
    """How to copy this target's cluster."""
    from backstop.commands.base.settings import BaseBackupSettings, FileCopySettings
    from backstop.wiring import find_cluster

    files = find_cluster(configuration, target).file_copy
    return BaseBackupSettings(
        staging=cluster_spool(configuration, target, repositories),
        file_copy=FileCopySettings(files.data_directory, files.database, files.readers) if files else None,
    )


def kind_of_base_backup(
    configuration: Configuration, target: str, repositories: Sequence[Repository], *, now: datetime
) -> tuple[BackupKind, str]:
    """Full or incremental, as the target's schedules ask at this moment, and why.

    :raises BackstopError: no repository answers.
    """
    from croniter import croniter

    from backstop.commands.base.lineage import known_manifests
    from backstop.model.base_schedule import kind_due
    from backstop.wiring import find_cluster

    cluster = find_cluster(configuration, target)
    due = croniter(cluster.full, now).get_prev(datetime) if cluster.full else None
    return kind_due(
        known_manifests(repositories), full_due_at=due, incremental=cluster.incremental is not None
    )


def archive_settings(
    configuration: Configuration, target: str, repositories: Sequence[Repository]
) -> ArchiveSettings:
    """How to receive and ship this target's WAL."""
    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.wiring import find_cluster

    wal = find_cluster(configuration, target).wal
    spool = cluster_spool(configuration, target, repositories)
    return ArchiveSettings(
        spool=spool,
        slot=wal.slot or "",
        synchronous=wal.synchronous,
        status_file=wal_status_file(spool, target),
    )


def wal_status_file(spool: Path, target: str) -> Path:
    """Where the receiver of a target's WAL says how it stands."""
    return spool / f"archive-wal-{target}.json"


def archive_directory(configuration: Configuration, target: str) -> Path | None:
    """What the target's ``archive_command`` fills, if anything."""
    from backstop.wiring import find_cluster

    return find_cluster(configuration, target).wal.archive_directory


def recover_settings(configuration: Configuration, target: str, *, destination: Path) -> RecoverSettings:
    """How to recover this target's cluster. :param destination: the new data directory.

    :raises ConfigurationError: the target says nothing about recovery.
    """
    from backstop.commands.recovery.recover import RecoverSettings
    from backstop.wiring import find_recovery

    recovery = find_recovery(configuration, target)
    return RecoverSettings(
        destination=destination,
        account=recovery.run_as or "",
        superuser=recovery.superuser,
        database=configuration.targets[target].database.dbname,
        queries=as_queries(recovery.queries),
    )


def recovery_destination(configuration: Configuration, target: str, *, now: datetime) -> Path:
    """A new data directory below ``cluster.recovery.directory``."""
    from backstop.wiring import find_recovery

    return find_recovery(configuration, target).directory / f"{target}-{now:%Y%m%dT%H%M%SZ}"


def cutover_commands(configuration: Configuration, target: str) -> tuple[Path, ApplicationCommands]:
    """The live data directory, and what stops, starts and probes the server on it.

    :raises ConfigurationError: the target does not say how its cluster is replaced.
    """
    from backstop.commands.database.swap import ApplicationCommands
    from backstop.wiring import find_recovery

    cutover = find_recovery(configuration, target).cutover
    if cutover is None:
        raise ConfigurationError(
            f"target {target} has no cluster.recovery.cutover: nobody knows how its server is stopped",
            hint="describe it (docs/targets.md), or leave the recovered cluster beside",
        )
    return cutover.data_directory, ApplicationCommands(
        stop=cutover.stop, start=cutover.start, probe=cutover.probe, timeout=cutover.timeout
    )


def cluster_spool(configuration: Configuration, target: str, repositories: Sequence[Repository]) -> Path:
    """Where base backups and WAL of this target are kept on their way."""
    from backstop.wiring import find_cluster

    return find_cluster(configuration, target).spool or staging(configuration, target, repositories)
