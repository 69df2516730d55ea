"""How pages come to what they show: targets.yaml, and one session of the inventory a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from backstop.errors import ConfigurationError
from backstop.model.retention_policy import RetentionPolicy
from backstop.repository.inventory_moment import inventory_moment
from backstop.settings.retention import retention_policies

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from backstop.commands.recoverability.leaving import Policies
    from backstop.model.backup import BackupLabel
    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration

Found = TypeVar("Found")


class Reading:
    """Asks the inventory.

    :param inventory: its database; None: targets.yaml names none.
    """

    def __init__(
        self,
        inventory: Callable[[], ClusterConnection | None],
        configuration: Callable[[], Configuration],
    ) -> None:
        self._inventory = inventory
        self._configuration = configuration

    def read(self, question: Callable[[psycopg.Connection[tuple[Any, ...]], Configuration], Found]) -> Found:
        """The answer to a question about targets.yaml and the inventory, in one session.

        :raises ConfigurationError: targets.yaml is wrong or names no inventory, or it has no tables.
        :raises SourceUnavailableError: the inventory does not answer.
        """
        targets = self._configuration()
        connection = self._inventory()
        if connection is None:
            raise ConfigurationError(
                "targets.yaml names no inventory, which is what this page shows",
                hint="add inventory: {conn_id: …}, then run `python -m backstop migrate-inventory`",
            )
        with inventory_moment(connection) as session:
            return question(session, targets)

    @staticmethod
    def policies(configuration: Configuration, target: str) -> Policies:
        """What each repository keeps of a target. What targets.yaml does not name, keeps everything."""
        if target not in configuration.targets:
            gone = RetentionPolicy(without_rules=f"targets.yaml has no {target} any more")
            return lambda _repository, _label: gone

        def policy(repository: str, label: BackupLabel) -> RetentionPolicy:
            return retention_policies(configuration, target, repository)(label)

        return policy
