"""What targets.yaml says of a target's server, keys and disks, as parts of its watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.wal.state import last_words
from backstop.commands.watch.archiving import look_at_archiving
from backstop.commands.watch.keys import NewestBackup, look_at_keys
from backstop.commands.watch.repositories import look_at_repositories
from backstop.commands.watch.sight import Look
from backstop.commands.watch.source import look_at_source
from backstop.commands.watch.spools import look_at_spools
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.cluster import archive_settings
from backstop.settings.database import staging
from backstop.settings.trees import tree_staging
from backstop.storage.posix import PosixStorage
from backstop.wiring import cluster_connection, find_target, replication_connection, watched_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.watch.part import Part
    from backstop.commands.watch.sight import Sight
    from backstop.credentials import CredentialSource
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration

_SECONDS = 60.0
_SERVER_SECONDS = 30.0
"""Many targets are looked at in five minutes, and several of them may share a server that hangs."""


def looks(
    configuration: Configuration,
    name: str,
    credentials: CredentialSource,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> tuple[Look, ...]:
    """Every part that looks at something else than what is stored. Credentials are read when it looks.

    :raises NotFoundError: no such target.
    """
    target = find_target(configuration, name)
    watch = target.watch

    def source(_: Sight) -> Part:
        return look_at_source(
            target=name,
            database=cluster_connection(configuration, name, credentials),
            clock_skew=watch.clock_skew,
            clock=clock,
        )

    def archiving(sight: Sight) -> Part:
        names = target.database.repositories
        usual = [one for one in sight.answering if one.name in names]
        settings = archive_settings(configuration, name, usual)
        status = settings.status_file
        return look_at_archiving(
            target=name,
            cluster=replication_connection(configuration, name, credentials),
            repositories=usual,
            slot=settings.slot_of(name),
            objective=target.database.objectives.rpo,
            slot_share=watch.slot_share,
            clock=clock,
            earlier=sight.previous,
            down={repository: why for repository, why in sight.down.items() if repository in names},
            last_words=lambda: last_words(status) if status else "",
        )

    def repositories(sight: Sight) -> Part:
        return look_at_repositories(
            target=name,
            repositories=sight.answering,
            down=tuple(sight.down),
            unprobed=[one.name for one in sight.answering if _is_audited(configuration, one.name)],
            next_backup_bytes=_next_backup_bytes(sight),
            free_space=watch.free_space,
            clock_skew=watch.clock_skew,
            clock=clock,
            # One that has held something and is empty now counts as down.
            empty_is_new=sight.remembers,
        )

    def spools(sight: Sight) -> Part:
        every = sight.target.repositories
        return look_at_spools(
            target=name,
            spools=_spools(configuration, name, every),
            repositories=[one.storage.root for one in every if isinstance(one.storage, PosixStorage)],
            free_space=watch.free_space,
            clock=clock,
        )

    def keys(sight: Sight) -> Part:
        return look_at_keys(
            target=name,
            keys=watched_keys(configuration, name, credentials),
            needed=_needed_keys(sight),
            clock=clock,
            newest=_newest_backups(sight),
        )

    found = [Look("source", ("source", "clock"), source, patience_seconds=_SERVER_SECONDS)]
    if target.cluster is not None:
        found.append(Look("archiving", ("rpo", "slot"), archiving, patience_seconds=_SERVER_SECONDS))
    return (
        *found,
        Look("repositories", ("repository", "space", "clock"), repositories, patience_seconds=_SECONDS),
        Look("spools", ("space", "scratch"), spools, patience_seconds=_SECONDS),
        Look("keys", ("key",), keys, patience_seconds=_SECONDS),
    )


def _is_audited(configuration: Configuration, repository: str) -> bool:
    """Whether a watch comes there as an auditor, who may not write, and not as whoever may do everything."""
    config = configuration.repositories[repository]
    return config.type == "s3" and config.connections.of(AccessRole.AUDITOR) is not None


def _spools(configuration: Configuration, name: str, repositories: Sequence[Repository]) -> set[Path]:
    target = configuration.targets[name]
    found = {staging(configuration, name, repositories)}
    found |= {tree_staging(configuration, name, tree, repositories) for tree in target.trees}
    if target.cluster is not None and target.cluster.spool is not None:
        found.add(target.cluster.spool)
    return found


def _next_backup_bytes(sight: Sight) -> dict[str, int]:
    """By repository: as much as the largest of the newest backups of each kind there."""
    found: dict[str, int] = {}
    for name, shelf in sight.shelves.items():
        newest: dict[str, tuple[datetime, int]] = {}
        for label, known in shelf.backups.items():
            kind = f"{label.kind.value}{label.tree or ''}"
            one = (known.manifest.finished_at, known.stored_bytes)
            newest[kind] = max(newest.get(kind, one), one)
        found[name] = max((size_bytes for _, size_bytes in newest.values()), default=0)
    return found


def _needed_keys(sight: Sight) -> dict[str, int] | None:
    """By key, how many backups name it; None: no repository answers."""
    if not sight.shelves:
        return None
    labels: dict[str, set[str]] = {}
    for shelf in sight.shelves.values():
        for label, known in shelf.backups.items():
            for key in known.manifest.keys:
                labels.setdefault(key, set()).add(str(label))
    return {key: len(backups) for key, backups in labels.items()}


def _newest_backups(sight: Sight) -> list[NewestBackup]:
    """Of each kind, over all repositories."""
    newest: dict[str, NewestBackup] = {}
    for shelf in sight.shelves.values():
        for label, known in shelf.backups.items():
            manifest = known.manifest
            one = NewestBackup(label.text, manifest.started_at, manifest.keys)
            before = newest.setdefault(label.component, one)
            if before.started_at < one.started_at:
                newest[label.component] = one
    return list(newest.values())
