"""Roles and users for Airflow's FAB auth manager; run by the service `airflow-init`. Replaces no password.

Three users, passwords in secrets/: `admin` (role Admin), `approver` (Restorers: start and approve what
include/compose/targets.yaml names under `access`), `viewer` (Onlookers: see how backups stand, no more).
Neither of the two roles has rights over all DAGs, which would beat those (docs/targets.md, *access*).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.providers.fab.www.security import permissions as fab

from backstop.targets import load_targets

LOOK = [
    (fab.ACTION_CAN_READ, resource)
    for resource in (
        fab.RESOURCE_WEBSITE,
        fab.RESOURCE_TASK_INSTANCE,
        fab.RESOURCE_TASK_LOG,
        fab.RESOURCE_DAG_RUN,
        fab.RESOURCE_DAG_VERSION,
        fab.RESOURCE_XCOM,
        fab.RESOURCE_HITL_DETAIL,
        # The page "Recovery" is a plugin's.
        fab.RESOURCE_PLUGIN,
        fab.RESOURCE_MY_PROFILE,
        fab.RESOURCE_MY_PASSWORD,
    )
] + [
    (fab.ACTION_CAN_EDIT, fab.RESOURCE_MY_PASSWORD),
    (fab.ACTION_CAN_ACCESS_MENU, fab.RESOURCE_DAG),
    (fab.ACTION_CAN_ACCESS_MENU, fab.RESOURCE_BROWSE_MENU),
]
ANSWER = [
    (fab.ACTION_CAN_EDIT, fab.RESOURCE_HITL_DETAIL),
    (fab.ACTION_CAN_ACCESS_MENU, fab.RESOURCE_HITL_DETAIL),
]
ROLES = {"Restorers": LOOK + ANSWER, "Onlookers": LOOK}
USERS = {"admin": "Admin", "approver": "Restorers", "viewer": "Onlookers"}


def main() -> None:
    """Can be repeated; what is there stays as it is."""
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        for name, rights in ROLES.items():
            role = manager.add_role(name)
            for action, resource in [*rights, *((fab.ACTION_CAN_READ, one) for one in _seen_dags())]:
                manager.add_permission_to_role(role, manager.create_permission(action, resource))
        for name, role_name in USERS.items():
            _add(manager, name, role_name)


def _seen_dags() -> list[str]:
    """Whoever may read these may look at the pages of the targets (docs/recoverability.md)."""
    seen = ["watch_backups", *(f"back_up_database__{target}" for target in load_targets().targets)]
    return [fab.resource_name(dag_id, fab.RESOURCE_DAG) for dag_id in seen]


def _add(manager: Any, name: str, role: str) -> None:
    if manager.find_user(username=name):
        return
    made = manager.add_user(
        username=name,
        first_name=name.title(),
        last_name="of Backstop",
        email=f"{name}@localhost",
        role=manager.find_role(role),
        password=Path(f"/run/secrets/user_{name}").read_text().strip(),
    )
    if not made:
        raise SystemExit(f"user {name} could not be made; the lines above say why")
    print(f"made user {name}, role {role}")


if __name__ == "__main__":
    main()
