"""Connections to the protected server, to the one that verifies, and to the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError, ConfigurationError
from backstop.wiring.targets import find_cluster, find_target

if TYPE_CHECKING:
    from backstop.credentials import CredentialSource
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.inventory import Inventory
    from backstop.targets import Configuration


def cluster_connection(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    for_restore: bool = False,
) -> ClusterConnection:
    """The protected database, as the backup role or, ``for_restore``, as the role that creates databases.

    :raises ConfigurationError: the connection is missing or incomplete.
    """
    from backstop.credentials import postgres_connection

    database = find_target(configuration, target_name).database
    conn_id = database.restore_conn_id if for_restore else database.conn_id
    if conn_id is None:
        raise ConfigurationError(
            f"target {target_name} has no restore_conn_id",
            hint="add the connection of a role with CREATEDB that is a member of the database's owner",
        )
    return postgres_connection(credentials.get(conn_id), database.dbname)


def replication_connection(
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> ClusterConnection:
    """The whole server, as the role that copies it and receives its WAL.

    :raises ConfigurationError: the target has no ``cluster`` section, or its connection is missing.
    """
    from backstop.credentials import postgres_connection

    cluster = find_cluster(configuration, target_name)
    dbname = configuration.targets[target_name].database.dbname
    return postgres_connection(credentials.get(cluster.conn_id), dbname)


def verification_server(
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> ClusterConnection | None:
    """The server that ``verify.server_conn_id`` names; None verifies in a scratch server on the worker."""
    from backstop.credentials import postgres_connection

    conn_id = find_target(configuration, target_name).database.verify.server_conn_id
    return postgres_connection(credentials.get(conn_id), "postgres") if conn_id else None


def inventory_connection(
    configuration: Configuration, credentials: CredentialSource
) -> ClusterConnection | None:
    """The inventory's database, where targets.yaml names one.

    :raises ConfigurationError: its connection is missing or incomplete.
    """
    from backstop.credentials import postgres_connection
    from backstop.repository.inventory_version import InventoryDatabase

    if configuration.inventory is None:
        return None
    return InventoryDatabase.of(postgres_connection(credentials.get(configuration.inventory.conn_id)))


def open_inventory(configuration: Configuration, credentials: CredentialSource) -> Inventory | None:
    """The inventory, where targets.yaml names one.

    :raises ConfigurationError: its connection is missing or incomplete.
    """
    from backstop.repository.inventory import Inventory

    connection = inventory_connection(configuration, credentials)
    return None if connection is None else Inventory(connection)


def inventory_or_why(
    configuration: Configuration, credentials: CredentialSource
) -> tuple[Inventory | None, str]:
    """For what goes on without it.

    :returns: the inventory and ""; or None and why it cannot be opened, "" where targets.yaml names none.
    """
    try:
        return open_inventory(configuration, credentials), ""
    except BackstopError as error:
        return None, f"the inventory cannot be opened: {error.message}"
