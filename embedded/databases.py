"""Roles and databases of the embedded clusters."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from embedded.errors import StackError
from embedded.home import CHECKOUT

if TYPE_CHECKING:
    from embedded.postgres import EmbeddedPostgres

INVENTORY = "backstop_inventory"
DATABASE = "calibrify"
OWNER = "calibrify_owner"
#: The scripts a user would run on a server of his own; here they are tried on every start.
ROLE_SCRIPTS = CHECKOUT / "include" / "sql" / "roles"


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
    server.create_role("calibrify_backup")
    grant_backup_role(server)
    if not _has_role(server, "calibrify_restore"):
        _run_script(server, "restore_role.sql", role="calibrify_restore", owner=OWNER)
    server.create_role("calibrify_restore")
    if not _has_role(server, "calibrify_replication"):
        _run_script(server, "replication_role.sql", role="calibrify_replication")
    server.create_role("calibrify_replication", "LOGIN REPLICATION")
    with server.connect() as connection:
        # It has settings of its own in this database, and only a member of a role may set those again.
        connection.execute("GRANT calibrify_app TO calibrify_restore")


def grant_backup_role(server: EmbeddedPostgres) -> None:
    """Let the backup role read everything that is there now; can be repeated.

    Before PostgreSQL 18 large objects that are created later are not covered.
    """
    _run_script(server, "backup_role.sql", role="calibrify_backup", database=DATABASE)


def _has_role(server: EmbeddedPostgres, role: str) -> bool:
    with server.connect() as connection:
        return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


def _run_script(server: EmbeddedPostgres, script: str, **variables: str) -> None:
    argv = [
        str(server.bin_dir / "psql"),
        "--no-psqlrc",
        "--quiet",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
        *(f"--set={name}={value}" for name, value in variables.items()),
        f"--file={ROLE_SCRIPTS / script}",
    ]
    with server.connection(DATABASE).child_environment(server.directory) as environment:
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise StackError(
            f"{ROLE_SCRIPTS / script} failed: {done.stderr.strip()}",
            hint="running this again tries once more",
        )
