"""Roles and databases of the embedded clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from embedded.postgres import EmbeddedPostgres

INVENTORY = "backstop_inventory"
OWNER = "calibrify_owner"


def prepare_metadata(server: EmbeddedPostgres) -> None:
    """Create Airflow's metadata database and the inventory's, each with an owner of its own."""
    for name in ("airflow", INVENTORY):
        server.create_role(name)
        server.create_database(name, owner=name)


def prepare_protected(server: EmbeddedPostgres) -> None:
    """Create the protected database, empty, and the roles that back it up and restore it."""
    from embedded.sample import create_empty

    create_empty(server.connection())
    server.create_role("calibrify_app")
    server.create_role("calibrify_backup", "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
    server.create_role("calibrify_restore", "LOGIN CREATEDB NOSUPERUSER NOCREATEROLE")
    with server.connect() as connection:
        # A restored copy gets the same owner, and the swap ends the sessions of the application.
        connection.execute(sql.SQL("GRANT {} TO calibrify_restore").format(sql.Identifier(OWNER)))
        connection.execute("GRANT pg_signal_backend TO calibrify_restore")
        connection.execute("GRANT pg_read_all_data, pg_monitor TO calibrify_backup")
