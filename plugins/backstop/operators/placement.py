"""Where and when a task runs, of what a DAG's ``default_args`` and a task's arguments say. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from backstop.model.priority import priority_weight
from backstop.targets.pools import DEFAULT_POOL

if TYPE_CHECKING:
    from backstop.model.priority import Urgency
    from backstop.targets import Target, Tree


def placed(
    target: Target | None, urgency: Urgency, *, tree: Tree | None = None, queue: str | None = None
) -> dict[str, Any]:
    """``default_args`` of a DAG: its owner, the queue that reaches what it is about, how urgent it is.

    :param target: None: it is about several. :param tree: has a queue, and an objective, of its own.
    :param queue: of what is about several; None: Airflow's default queue.
    """
    chosen = queue or (tree.queue if tree else None) or (target.queue if target else None)
    return {
        "owner": target.owner if target else "backstop",
        "priority_weight": priority_weight(urgency, _rpo(target, tree)),
        "weight_rule": "absolute",
        **({"queue": chosen} if chosen else {}),
    }


def in_pool(target: Target, what: Literal["transfers", "scratch"]) -> dict[str, str]:
    """Arguments of a task that strains what others strain too: it takes a place in that pool.

    Restores are in none: whoever needs one must not wait for backups to end.
    """
    pool: str = getattr(target.pools, what)
    return {} if pool == DEFAULT_POOL else {"pool": pool}


def _rpo(target: Target | None, tree: Tree | None) -> Any:
    if tree is not None:
        return tree.objectives.rpo
    return target.database.objectives.rpo if target else None
