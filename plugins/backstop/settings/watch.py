"""What targets.yaml says of a target, as what a watch looks at. For the CLI and for Airflow alike."""

from __future__ import annotations

from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from backstop.settings.check import keyring_if_any
from backstop.settings.proof import verify_policies
from backstop.settings.sync import sync_settings
from backstop.settings.watch_server import looks
from backstop.wiring import every_repository, find_target, open_every_repository, open_storage
from backstop.wiring.locks import lock_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from backstop.commands.watch.settings import WatchedKind, WatchSettings
    from backstop.commands.watch.sight import ObservedTarget
    from backstop.commands.watch.undescribed import TopOf
    from backstop.credentials import CredentialSource
    from backstop.repository.catalog import Repository
    from backstop.storage.base import Storage
    from backstop.targets import Configuration, Target

RHYTHM = timedelta(minutes=5)
"""How often there is a watch."""


class WatchedTargets:
    """Opens targets for one watch. What they share is opened once: an S3 client costs a second.

    What did not answer for one target is not asked for the next.

    :param airflow: the address of the Airflow that does it, if it is one.
    """

    def __init__(
        self, configuration: Configuration, credentials: CredentialSource, *, airflow: str | None = None
    ) -> None:
        self._airflow = airflow
        self._configuration = configuration
        self._credentials = credentials
        self._storages: dict[str, Storage] = {}
        self._outages: dict[str, str] = {}

    def open(self, name: str) -> ObservedTarget:
        """:raises NotFoundError: no such target. :raises ConfigurationError: a connection is missing.

        :raises KeyUnavailableError: nobody says whose signatures count.
        """
        from backstop.commands.watch.sight import ObservedTarget

        configuration, credentials = self._configuration, self._credentials
        for repository in every_repository(configuration, name):
            if repository not in self._storages:
                config = configuration.repositories[repository]
                self._storages[repository] = open_storage(
                    config, credentials, lock=lock_rule(configuration, repository), hurried=True
                )
        repositories = open_every_repository(configuration, name, credentials, storages=self._storages)
        return ObservedTarget(
            name=name,
            repositories=repositories,
            settings=watch_settings(configuration, name, repositories),
            keyring=cache(lambda: keyring_if_any(configuration, name, credentials)),
            others=looks(configuration, name, credentials),
            airflow=self._airflow,
            outages=self._outages,
        )

    def tops(self, names: Collection[str]) -> list[TopOf]:
        """The repositories of which one of these targets is the first user, by name: so each is looked at by
        one task, on a machine that has it. None while a target file is wrong: nobody knows what it describes.
        """
        from backstop.commands.watch.undescribed import TopOf

        configuration = self._configuration
        if any(not one.is_shared for one in configuration.broken):
            return []
        users: dict[str, list[str]] = {name: [] for name in configuration.repositories}
        for target in sorted(configuration.targets):
            for repository in every_repository(configuration, target):
                users[repository].append(target)
        return [
            TopOf(repository, partial(self._storage, repository), frozenset(using))
            for repository, using in users.items()
            # What no target has any more is for whoever comes first of all.
            if (using or sorted(configuration.targets))[0] in names
        ]

    def _storage(self, repository: str) -> Storage:
        config = self._configuration.repositories[repository]
        return self._storages.get(repository) or open_storage(config, self._credentials, hurried=True)


def watch_settings(configuration: Configuration, name: str, repositories: list[Repository]) -> WatchSettings:
    """What is expected of the target's repositories. :raises NotFoundError: no such target."""
    from backstop.commands.watch.settings import ExpectedDrills, WatchSettings

    target = find_target(configuration, name)
    return WatchSettings(
        kinds=tuple(_kinds(target)),
        policies={one.name: verify_policies(configuration, name, one.name) for one in repositories},
        sync=sync_settings(configuration, name, repositories),
        late_after=target.watch.late_after,
        prove_within=target.watch.prove_within,
        wal_repositories=tuple(target.database.repositories) if target.cluster else (),
        drills=ExpectedDrills(
            scheduled=target.drill.schedule is not None,
            due_every=target.drill.due_every,
            sign_off_within=target.drill.sign_off.within if target.drill.sign_off.required else None,
        ),
    )


def _kinds(target: Target) -> Iterator[WatchedKind]:
    from backstop.commands.watch.settings import WatchedKind

    database, cluster = target.database, target.cluster
    usual = tuple(database.repositories)
    yield WatchedKind(
        kind="dump",
        schedules=_given(database.schedule),
        repositories=usual,
        # With WAL that is what keeps to it; dumps, hours old by then, would be said to miss it always.
        rpo=None if cluster is not None else database.objectives.rpo,
        rto=database.objectives.rto,
        has_wal=cluster is not None,
    )
    if cluster is not None:
        yield WatchedKind(
            kind="base",
            schedules=_given(cluster.full, cluster.incremental),
            full_schedule=cluster.full,
            repositories=usual,
            rpo=database.objectives.rpo,
            rto=database.objectives.rto,
            has_wal=True,
        )
    for name, tree in target.trees.items():
        yield WatchedKind(
            kind=f"tree:{name}",
            schedules=_given(tree.schedule),
            repositories=tuple(tree.repositories or usual),
            rpo=tree.objectives.rpo,
            rto=tree.objectives.rto,
            on_change=tree.on_change is not None,
        )


def _given(*schedules: str | None) -> tuple[str, ...]:
    return tuple(schedule for schedule in schedules if schedule is not None)
