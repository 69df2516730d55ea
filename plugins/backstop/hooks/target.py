"""A target as the engine wants it: configuration, repositories, keys and connections as values."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from backstop.hooks.credentials import AirflowCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from backstop.commands.database.restore import DatabaseRestore
    from backstop.commands.disaster.engine import Disaster
    from backstop.commands.disaster.telling import Communication, Listener
    from backstop.commands.drill.drill import Drill
    from backstop.commands.legacy.places import Place
    from backstop.commands.progress import Progress
    from backstop.commands.recovery.recover import PointInTimeRestore
    from backstop.commands.trees.comparison import WatchedTree
    from backstop.commands.trees.restore import TreeRestore
    from backstop.commands.trees.watch import TreeWatch
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import DocumentSigner, Role, Signer
    from backstop.model.access import AccessRole
    from backstop.model.drill import SignOff
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory
    from backstop.repository.legacy_records import LegacyRecords
    from backstop.settings.disaster import Disasters
    from backstop.targets import Configuration, Target
    from backstop.targets.trees import Tree


class TargetHook:
    """Opens what commands need for one target. Nothing is read before it is asked for.

    :param name: the target's name in targets.yaml; any text, since Airflow does not check what an API
        caller passes.
    :param role: what for: of repositories and keys, the connections of this role alone are asked for.
    """

    def __init__(self, name: str, role: AccessRole) -> None:
        from backstop.credentials import RoleCredentials

        self.name = name
        self._credentials = RoleCredentials(AirflowCredentials(), role)

    @cached_property
    def configuration(self) -> Configuration:
        """The whole of targets.yaml as it is now, known to contain this target.

        :raises ConfigurationError: targets.yaml is wrong; :raises NotFoundError: no such target.
        """
        from backstop.targets import load_targets
        from backstop.wiring import find_target

        configuration = load_targets()
        find_target(configuration, self.name)
        return configuration

    @property
    def target(self) -> Target:
        return self.configuration.targets[self.name]

    def tree(self, name: str) -> Tree:
        """One of the target's file trees. :raises NotFoundError: it has none of that name."""
        from backstop.wiring import find_tree

        return find_tree(self.configuration, self.name, name)

    def repositories(self) -> list[Repository]:
        """Where backups of the database go."""
        from backstop.wiring import open_repositories

        return open_repositories(self.configuration, self.name, self._credentials)

    def tree_repositories(self, tree: str) -> list[Repository]:
        """Where backups of one of its file trees go."""
        from backstop.wiring import open_tree_repositories

        return open_tree_repositories(self.configuration, self.name, tree, self._credentials)

    def every_repository(self) -> list[Repository]:
        """Wherever backups of the target lie: of its database and of its trees."""
        from backstop.wiring import open_every_repository

        return open_every_repository(self.configuration, self.name, self._credentials)

    def repository(self, name: str) -> Repository:
        """One of them. :raises NotFoundError: the target has none of that name."""
        from backstop.wiring import open_repository

        return open_repository(self.configuration, self.name, name, self._credentials)

    def others_of(self, repository: Repository) -> Iterator[Repository]:
        """The target's other repositories, as far as they can be opened."""
        from backstop.wiring import others_of

        return others_of(self.configuration, self.name, repository, self._credentials)

    def keyring(self, *, for_reading: bool = False) -> Keyring:
        """:param for_reading: a restore is never refused for want of an escrow copy; a backup is."""
        from backstop.wiring import open_keyring

        return open_keyring(self.configuration, self.name, self._credentials, for_reading=for_reading)

    def signer(self, role: Role) -> Signer:
        """``manifest`` for backups, ``proof`` for verifications."""
        from backstop.wiring import open_signer

        return open_signer(self.configuration, self.name, role)

    def evidence_signer(self) -> DocumentSigner:
        """What signs evidence: a key of AWS KMS where one is named for it, else that of proofs."""
        from backstop.wiring import open_evidence_signer

        return open_evidence_signer(self.configuration, self.name, self._credentials)

    def for_checking(self) -> tuple[Keyring | None, Signer | None]:
        """What opens WAL and what signs proofs; None where this machine has none."""
        from backstop.settings.check import keyring_if_any, proof_signer_if_any

        return (
            keyring_if_any(self.configuration, self.name, self._credentials),
            proof_signer_if_any(self.configuration, self.name),
        )

    def cluster(self) -> ClusterConnection:
        """The protected database, as the backup role."""
        from backstop.wiring import cluster_connection

        return cluster_connection(self.configuration, self.name, self._credentials)

    def cluster_for_restore(self) -> ClusterConnection:
        """The protected database, as the role that may create and rename databases."""
        from backstop.wiring import cluster_connection

        return cluster_connection(self.configuration, self.name, self._credentials, for_restore=True)

    def cluster_for_replication(self) -> ClusterConnection:
        """The whole server, as the role that copies it and receives its WAL."""
        from backstop.wiring import replication_connection

        return replication_connection(self.configuration, self.name, self._credentials)

    def verification_server(self) -> ClusterConnection | None:
        """The server that ``verify.server_conn_id`` names; None verifies on the worker itself."""
        from backstop.wiring import verification_server

        return verification_server(self.configuration, self.name, self._credentials)

    def restore(self, label: str, repository: str, progress: Progress) -> DatabaseRestore:
        """One backup on its way back from one repository.

        :raises ConfigurationError: not a label; :raises NotFoundError: no such repository.
        """
        from backstop.commands.database.restore import DatabaseRestore
        from backstop.settings.arguments import named_repository, parse_label, utc_now
        from backstop.settings.database import restore_settings

        repositories = self.repositories()
        return DatabaseRestore(
            repository=named_repository(repositories, repository),
            label=parse_label(label),
            server=self.cluster_for_restore(),
            keyring=self.keyring(for_reading=True),
            settings=restore_settings(self.configuration, self.name, repositories, reader=self.cluster()),
            clock=utc_now,
            progress=progress,
        )

    def recovery(self, repository: str, destination: Path, progress: Progress) -> PointInTimeRestore:
        """The target's cluster on its way back from one repository; the others heal its WAL.

        :param destination: the new data directory.
        :raises NotFoundError: no such repository; :raises ConfigurationError: no word on recovery.
        """
        from backstop.commands.recovery.recover import PointInTimeRestore
        from backstop.settings.arguments import named_repository, utc_now
        from backstop.settings.cluster import recover_settings

        repositories = self.repositories()
        return PointInTimeRestore(
            repository=named_repository(repositories, repository),
            target=self.name,
            keyring=self.keyring(for_reading=True),
            settings=recover_settings(self.configuration, self.name, destination=destination),
            clock=utc_now,
            progress=progress,
            others=[one for one in repositories if one.name != repository],
        )

    def tree_restore(self, tree: str, label: str, repository: str, progress: Progress) -> TreeRestore:
        """One backup of a file tree on its way back from one repository.

        :raises ConfigurationError: not a label; :raises NotFoundError: no such tree, or repository.
        """
        from backstop.commands.trees.restore import TreeRestore
        from backstop.settings.arguments import named_repository, parse_label, utc_now
        from backstop.settings.trees import tree_restore_settings

        repositories = self.tree_repositories(tree)
        return TreeRestore(
            repository=named_repository(repositories, repository),
            label=parse_label(label),
            keyring=self.keyring(for_reading=True),
            settings=tree_restore_settings(self.configuration, self.name, tree, repositories),
            clock=utc_now,
            progress=progress,
        )

    def disasters(
        self,
        *,
        by: str,
        progress: Progress | None = None,
        tell: Callable[[Disaster, str], None] | None = None,
    ) -> Disasters:
        """Incidents of the target: to declare one, or to go on with one, wherever it was begun.

        :param by: who, for the journal. :param tell: says to people how it stands.
        """
        from backstop.settings.disaster import Disasters

        return Disasters(
            self.configuration, self.name, self._credentials, by=by, progress=progress, tell=tell
        )

    def communication(self, *, more: Sequence[Listener]) -> Communication:
        """Whoever waits for this target: its status page, and :param more: its stakeholders."""
        from backstop.settings.arguments import utc_now
        from backstop.settings.communication import communication

        return communication(self.configuration, self.name, self._credentials, clock=utc_now, more=more)

    def tree_watch(self, tree: str, *, say: Callable[[str], None]) -> TreeWatch:
        """What waits for changes in one of the target's file trees; not open yet.

        :param say: takes sentences for a log.
        """
        from backstop.commands.trees.watch import TreeWatch
        from backstop.settings.trees import watch_rhythm

        return TreeWatch(self.watched_tree(tree), watch_rhythm(self.configuration, self.name, tree), say=say)

    def watched_tree(self, tree: str) -> WatchedTree:
        """One of the target's file trees, to be compared with its newest backup."""
        from backstop.settings.trees import watched_tree

        return watched_tree(
            self.configuration,
            self.name,
            tree,
            self.tree_repositories(tree),
            keyring=self.keyring(for_reading=True),
        )

    def drill(self, progress: Progress) -> Drill:
        """Disasters of the target, rehearsed: planned, restored elsewhere, checked, taken down, recorded."""
        from backstop.settings.drill import open_drill

        return open_drill(self.configuration, self.name, self._credentials, progress=progress)

    def sign_off_drill(self, drill_id: str, said: SignOff) -> list[str]:
        """Put what somebody said of a drill into evidence and inventory; says what could not be written.

        :raises BackstopError: no repository took it.
        """
        from backstop.settings.sign_off import sign_off

        return sign_off(self.configuration, self.name, self._credentials, drill_id, said)

    def legacy(self) -> tuple[list[Place], dict[str, LegacyRecords]]:
        """Where backups from before Backstop lie, and what each repository has recorded of them.

        :raises ConfigurationError: targets.yaml names no such place.
        """
        from backstop.settings.legacy import legacy_places, legacy_records

        places = legacy_places(self.configuration, self.name, self._credentials)
        return places, legacy_records(self.configuration, self.name, places, self._credentials)

    def inventory(self) -> Inventory | None:
        """The index for people and reports; None where targets.yaml names none."""
        from backstop.wiring import open_inventory

        return open_inventory(self.configuration, self._credentials)
