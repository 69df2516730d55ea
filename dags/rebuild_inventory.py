"""
## Rebuild the inventory

Makes the inventory say what the repositories hold, from them alone: backups, proofs, holds. The tables are
made when they are missing, and rows that are there keep their numbers.

**When:** by hand, after the inventory's database was dropped, restored or moved, or to be sure. There is no
hurry: it decides nothing, backups and restores work without it, and every DAG that makes, proves, holds or
expires backups enters its own target anew.

**What cannot come back** after the database was lost: the history of backups that had expired by then, since
the repositories no longer know of them. Who needs it for years backs that database up as a target of its own.

### When a task is red
Each target has an instance of `rebuild` of its own.
- **Saying that a repository does not answer:** its rows stay as they were, the other repositories are
  entered. Once it answers, clear the task.
- **Saying that a backup was lost, or cannot be believed:** that is news about the *repository*. Restore it
  from its copy in the other one, or take a new backup.
- **Saying that the inventory does not answer:** see its connection, `inventory.conn_id` in `targets.yaml`.

Without Airflow: `python -m backstop rebuild-inventory`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG

from backstop.notifications.runs import run_failed
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import placed
from backstop.targets import Target, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence


def define_rebuild(queue: str | None, targets: Sequence[Target]) -> DAG:
    """One DAG for the targets whose keys the same workers have."""
    names = sorted(target.name for target in targets)
    with DAG(
        dag_id=f"rebuild_inventory__{queue}" if queue else "rebuild_inventory",
        dag_display_name=f"Rebuild the inventory ({queue})" if queue else "Rebuild the inventory",
        description="Make the inventory say what the repositories hold, from them alone",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        default_args=placed(None, "upkeep", queue=queue),
        tags=["backstop", "inventory", *names],
    ) as dag:
        IndexInventoryOperator.partial(
            task_id="rebuild",
            retries=2,
            retry_delay=timedelta(minutes=1),
            map_index_template="{{ task.target }}",
        ).expand(target=names)
    return dag


_targets = list(load_targets().targets.values())
for _queue in sorted({target.queue for target in _targets}, key=str):
    define_rebuild(_queue, [target for target in _targets if target.queue == _queue])
