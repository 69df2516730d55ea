"""Roles and databases of the embedded clusters."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from embedded.errors import StackError
from embedded.home import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

INVENTORY = "backstop_inventory"
DATABASE = "calibrify"
OWNER = "calibrify_owner"
ROLES = CHECKOUT / "include" / "sql" / "roles"
#: The grants a user would run on a server of his own, tried here on every start from scratch.
ROLE_SCRIPTS = {"calibrify_backup": "backup_role.sql", "calibrify_restore": "restore_role.sql"}


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
    for role, script in ROLE_SCRIPTS.items():
        with server.connect() as connection:
            known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        if known is None and (ROLES / script).exists():
            _run_script(server, ROLES / script, role)
        server.create_role(role)


def _run_script(server: EmbeddedPostgres, path: Path, role: str) -> None:
    psql = server.bin_dir / "psql"
    with server.connection(DATABASE).child_environment(server.directory) as environment:
        done = subprocess.run(
            [
                str(psql), "--no-psqlrc", "--quiet", "--single-transaction",
                "--set=ON_ERROR_STOP=1", f"--set=role={role}", f"--set=owner={OWNER}", f"--file={path}",
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise StackError(f"{path} failed: {done.stderr.strip()}", hint="running this again tries once more")
