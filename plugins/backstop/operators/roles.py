"""Which roles of Airflow may use a DAG: targets.yaml says so by target, Airflow asks by DAG.

Airflow's simple auth manager ignores it; that of ``apache-airflow-providers-fab`` goes by it. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.targets import Target

Procedure = Literal["restore", "expire", "disaster", "keys"]
RIGHTS = {
    "DAGs": {"can_read", "can_edit"},
    "DAG Runs": {"can_read", "can_create"},
}
"""What it takes to start a DAG and to answer its forms; none to delete it, or what is known of its runs."""


def roles_for(procedure: Procedure, targets: Sequence[Target]) -> dict[str, dict[str, set[str]]] | None:
    """The ``access_control`` of a DAG that does this for these targets.

    A DAG that serves several targets is for whoever may use it for each of them: its form offers them all.
    Where only some of them name roles, nobody is named for it.

    :returns: None where no target says anything: then only rights over all DAGs count.
    """
    named = [getattr(target.access, procedure) for target in targets]
    if all(roles is None for roles in named):
        return None
    first, *others = [roles or [] for roles in named]
    return {
        role: {resource: set(actions) for resource, actions in RIGHTS.items()}
        for role in dict.fromkeys(first)
        if all(role in roles for roles in others)
    }
