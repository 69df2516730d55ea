"""What targets.yaml says of dumps and their restores, as the settings that commands take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.commands.database.attempt import DumpSettings
    from backstop.commands.database.restore import RestoreSettings
    from backstop.commands.database.swap import ApplicationCommands
    from backstop.commands.questions import Query
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration, VerifyQuery


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
