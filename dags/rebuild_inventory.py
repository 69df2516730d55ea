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
Each target has its own `rebuild` task.
- **Saying that a repository does not answer:** its rows stay as they were, the other repositories are
  entered. Once it answers, clear the task.
- **Saying that a backup was lost, or cannot be believed:** that is news about the *repository*. Restore it
  from its copy in the other one, or take a new backup.
- **Saying that the inventory does not answer:** see its connection, `inventory.conn_id` in `targets.yaml`.

Without Airflow: `python -m backstop rebuild-inventory`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from backstop.operators.inventory import IndexInventoryOperator
from backstop.targets import load_targets

_configuration = load_targets()
if _configuration.targets:
    with DAG(
        dag_id="rebuild_inventory",
        dag_display_name="Rebuild the inventory",
        description="Make the inventory say what the repositories hold, from them alone",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={"owner": "backstop", "retries": 2, "retry_delay": timedelta(minutes=1)},
        tags=["backstop", "inventory", *sorted(_configuration.targets)],
    ):
        for _target in _configuration.targets.values():
            IndexInventoryOperator(
                task_id=f"rebuild_{_target.name}",
                target=_target.name,
                **({"queue": _target.queue} if _target.queue else {}),
            )
