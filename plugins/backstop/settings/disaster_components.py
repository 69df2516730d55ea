"""The components of a target that can be lost, each with what brings it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.assess import Objective
from backstop.commands.disaster.component import Condition, Found
from backstop.errors import BackstopError, ConfigurationError
from backstop.wiring import cluster_connection, find_tree, replication_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from backstop.commands.disaster.component import Component, Run, Sources
    from backstop.commands.progress import Progress
    from backstop.credentials import CredentialSource
    from backstop.targets import Configuration, Target


DATABASE = "database"
"""How people call the database, whether its server or a dump of it comes back."""


def database_kind(target: Target) -> str:
    """``base``: the whole server comes back; ``dump``: the database from a dump."""
    said = target.disaster.database
    if said is not None:
        return "base" if said == "cluster" else "dump"
    recovery = target.cluster.recovery if target.cluster else None
    return "base" if recovery is not None and recovery.cutover is not None else "dump"


def order_of(target: Target) -> list[str]:
    """As the target says; else what services read to start first, then the database, then the rest."""
    database, trees = database_kind(target), target.trees
    if target.disaster.order is not None:
        said = [database if one == DATABASE else one for one in target.disaster.order]
        return [*said, *(f"tree:{name}" for name in trees if f"tree:{name}" not in said)]
    first = [f"tree:{name}" for name, tree in trees.items() if tree.on_change is not None]
    return [*first, database, *(f"tree:{name}" for name in trees if f"tree:{name}" not in first)]


def alternatives_of(target: Target) -> dict[str, str]:
    """Other kinds that bring the same back: ``{"base": "dump"}``."""
    if database_kind(target) == "dump" or target.database.restore_conn_id is None:
        return {}
    return {"base": "dump"}


def objectives_of(target: Target) -> Mapping[str, Objective]:
    """What was asked for, by kind."""
    agreed = target.database.objectives
    database = Objective(agreed.rto, agreed.rpo)
    trees = {
        f"tree:{name}": Objective(tree.objectives.rto, tree.objectives.rpo)
        for name, tree in target.trees.items()
    }
    return {"base": database, "dump": database, **trees}


def component_of(
    configuration: Configuration,
    target: str,
    kind: str,
    credentials: CredentialSource,
    *,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Component:
    """One of them. What it cannot be without, it says when it is used: the others come back all the same."""
    makers = {"base": _cluster, "dump": _dump}
    try:
        if kind in makers:
            return makers[kind](configuration, target, credentials, clock=clock, progress=progress)
        return _tree(configuration, target, kind.partition(":")[2], clock=clock, progress=progress)
    except BackstopError as error:
        return Unusable(kind, error)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A component for which something is missing on this machine: a connection, a section of targets.yaml."""

    kind: str
    error: BackstopError

    def look(self, sources: Sources) -> Found:
        return Found(Condition.UNKNOWN, f"it cannot be looked at from here: {self.error.message}")

    def recover(self, part: Mapping[str, Any], sources: Sources, run: Run) -> dict[str, Any]:
        raise self.error


def _cluster(
    configuration: Configuration,
    target: str,
    credentials: CredentialSource,
    *,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Component:
    from backstop.commands.disaster.cluster import ClusterComponent
    from backstop.settings.cluster import (
        archive_settings,
        cutover_commands,
        recover_settings,
        recovery_destination,
    )

    named = configuration, target
    try:
        live, commands = cutover_commands(*named)
    except ConfigurationError:
        live, commands = None, None
    return ClusterComponent(
        reader=cluster_connection(*named, credentials),
        live=live,
        commands=commands,
        settings=lambda now: recover_settings(*named, destination=recovery_destination(*named, now=now)),
        replication=lambda: replication_connection(*named, credentials),
        slot=archive_settings(*named, []).slot_of(target),
        clock=clock,
        progress=progress,
    )


def _dump(
    configuration: Configuration,
    target: str,
    credentials: CredentialSource,
    *,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Component:
    from backstop.commands.disaster.dump import DumpComponent
    from backstop.settings.database import application_commands, restore_settings

    reader = cluster_connection(configuration, target, credentials)
    return DumpComponent(
        reader=reader,
        server=lambda: cluster_connection(configuration, target, credentials, for_restore=True),
        settings=lambda repositories: restore_settings(configuration, target, repositories, reader=reader),
        application=application_commands(configuration, target),
        accept_logical_slots=configuration.targets[target].database.restore.accept_logical_slots,
        clock=clock,
        progress=progress,
    )


def _tree(
    configuration: Configuration,
    target: str,
    tree: str,
    *,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Component:
    from backstop.commands.disaster.tree import TreeComponent
    from backstop.settings.trees import tree_restore_settings

    rules = find_tree(configuration, target, tree)
    return TreeComponent(
        name=tree,
        settings=lambda repositories: tree_restore_settings(configuration, target, tree, repositories),
        clock=clock,
        progress=progress,
        exclude=tuple(rules.exclude),
        one_file_system=rules.one_file_system,
        repositories=tuple(rules.repositories or configuration.targets[target].database.repositories),
    )
