"""What targets.yaml says, as the settings that commands take. For the CLI and for Airflow alike."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError, NotFoundError
from backstop.model.backup import BackupKind, BackupLabel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.commands.base.settings import BaseBackupSettings
    from backstop.commands.database.attempt import DumpSettings
    from backstop.commands.database.restore import RestoreSettings
    from backstop.commands.database.swap import ApplicationCommands
    from backstop.commands.questions import Query
    from backstop.commands.recovery.recover import RecoverSettings
    from backstop.commands.trees.settings import TreeBackupSettings, TreeRestoreSettings
    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration, VerifyQuery


def utc_now() -> datetime:
    """The clock that shells hand to commands."""
    return datetime.now(timezone.utc)


def parse_label(text: str) -> BackupLabel:
    """:raises ConfigurationError: not the form of a label."""
    try:
        return BackupLabel(text)
    except ValueError as error:
        raise ConfigurationError(str(error), hint="copy it from the list of backups") from error


def parse_moment(text: str) -> datetime:
    """A time with its zone, such as ``2027-01-31T00:00:00Z``. :raises ConfigurationError: it is none."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError(f"{text!r} is no time with its zone", hint="write 2027-01-31T00:00:00Z")
    return moment.astimezone(timezone.utc)


def named_repository(repositories: Sequence[Repository], name: str) -> Repository:
    """:raises NotFoundError: the target has no repository of that name."""
    for repository in repositories:
        if repository.name == name:
            return repository
    raise NotFoundError(
        f"the target has no repository {name!r}",
        hint=f"choose one of: {', '.join(one.name for one in repositories)}",
    )


def dump_settings(
    configuration: Configuration, target: str, repositories: Sequence[Repository]
) -> DumpSettings:
    """How to back this target's database up."""
    from backstop.commands.database.attempt import DumpSettings

    database = configuration.targets[target].database
    return DumpSettings(
        staging=staging(configuration, target, repositories),
        jobs=database.jobs,
        fingerprint=database.fingerprint,
        snapshot_max=database.snapshot_max,
    )


def restore_settings(
    configuration: Configuration,
    target: str,
    repositories: Sequence[Repository],
    *,
    reader: ClusterConnection,
) -> RestoreSettings:
    """How to restore this target's database. :param reader: connection of the backup role."""
    from backstop.commands.database.restore import RestoreSettings

    database = configuration.targets[target].database
    return RestoreSettings(
        scratch=staging(configuration, target, repositories),
        database=database.dbname,
        reader=reader,
        jobs=database.jobs,
        queries=verify_queries(configuration, target),
        after_restore=database.restore.after_restore,
        allow_superuser=database.restore.allow_superuser,
        accept_logical_slots=database.restore.accept_logical_slots,
    )


def application_commands(configuration: Configuration, target: str) -> ApplicationCommands:
    """What stops, starts and probes the target's application."""
    from backstop.commands.database.swap import ApplicationCommands

    application = configuration.targets[target].database.application
    return ApplicationCommands(
        stop=application.stop,
        start=application.start,
        probe=application.probe,
        timeout=application.timeout,
    )


def base_backup_settings(
    configuration: Configuration, target: str, repositories: Sequence[Repository]
) -> BaseBackupSettings:
    """How to copy this target's cluster."""
    from backstop.commands.base.settings import BaseBackupSettings

    return BaseBackupSettings(staging=cluster_spool(configuration, target, repositories))


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
        status_file=spool / f"archive-wal-{target}.json",
    )


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


def cluster_spool(configuration: Configuration, target: str, repositories: Sequence[Repository]) -> Path:
    """Where base backups and WAL of this target are kept on their way."""
    from backstop.wiring import find_cluster

    return find_cluster(configuration, target).spool or staging(configuration, target, repositories)


def staging(configuration: Configuration, target: str, repositories: Sequence[Repository]) -> Path:
    """Where this target's runs keep what is on its way."""
    from backstop.commands.database.dump import default_staging

    return configuration.targets[target].database.spool or default_staging(repositories)


def private_folders(configuration: Configuration) -> tuple[Path, ...]:
    """Keys and repositories of every target: what code inside a dump must never see."""
    keys = [
        folder
        for section in configuration.keys.values()
        for folder in (section.signing, *([section.path.parent] if section.storage == "local" else []))
    ]
    stores = [store.path for store in configuration.repositories.values() if store.type == "posix"]
    return tuple(sorted({*keys, *stores}))


def verify_queries(configuration: Configuration, target: str) -> tuple[Query, ...]:
    """What is asked of a restored copy of the target's database."""
    return as_queries(configuration.targets[target].database.verify.queries)


def as_queries(queries: Sequence[VerifyQuery]) -> tuple[Query, ...]:
    """What targets.yaml asks of a restored copy."""
    from backstop.commands.questions import Query

    return tuple(Query(sql=one.sql, expect=one.expect, name=one.name or one.sql) for one in queries)
