"""
## Back up a database

Takes a consistent dump of the target's database, its roles and a fingerprint of every table, all of one
moment, and stores them encrypted in every repository of the target. The application is never made to wait
longer than a second: when that is about to happen, the backup gives way and starts again.

**When:** at the target's `schedule` in `targets.yaml` (UTC). To take one now, press *Trigger*.

**What it leaves:** a backup with a label such as `20261123T010000Z-dump`. It counts as *completed* now and
as *proven* once `verify_backups__<target>`, which this wakes, has restored it and found it equal.

### When a task is red
- **`back_up`:** no repository has a backup of this run; nothing half-made was published. The last line of its
  log names the object and the next step. What time heals has been tried again three times by then.
  Where it says that the server is another cluster than that of the backups: has the database moved, allow it
  once with the command in the message; else another deployment has this repository (`docs/upgrading.md`).
- **`back_up` is up for retry, and its log says that backups *are being written by* somebody:** one at a time.
  The log names the Airflow, the run and the host. If that is another Airflow, nothing here is broken: give it
  a repository of its own (`docs/upgrading.md`).
- **`require_every_repository`:** the backup exists and can be restored, but not from everywhere. Repair the
  repository that is named; `sync_repositories__<target>` copies it there.
- **`index_inventory`:** the inventory does not answer, or a repository has lost a backup that it held.
  Backups need no inventory; once it answers, the next run brings it up to date.

**No run at all** is the worst case: see that this DAG is not paused and that the scheduler runs.

Without Airflow: `python -m backstop back-up-database --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from backstop.notifications.runs import run_failed
from backstop.operators.backup import BackUpDatabaseOperator, RequireEveryRepositoryOperator
from backstop.operators.base import result_of
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import in_pool, placed
from backstop.targets import Target, load_targets


def define_backup(target: Target) -> DAG:
    patient = {"retries": 3, "retry_delay": timedelta(minutes=2), "retry_exponential_backoff": 2.0}
    with DAG(
        dag_id=f"back_up_database__{target.name}",
        dag_display_name=f"Back up {target.name}",
        description=target.description or f"Dump {target.database.dbname} into every repository",
        doc_md=__doc__,
        # The first run waits for the schedule: setting Backstop up starts nothing by itself. A run that was
        # due while Airflow was down is made up for, once.
        schedule=target.database.schedule
        and CronTriggerTimetable(target.database.schedule, timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        default_args=placed(target, "backup"),
        tags=["backstop", "backup", target.name, *target.tags],
    ) as dag:
        back_up = BackUpDatabaseOperator(
            task_id="back_up",
            target=target.name,
            **in_pool(target, "transfers"),
            **patient,
        )
        everywhere = RequireEveryRepositoryOperator(
            task_id="require_every_repository", target=target.name, report=result_of("back_up")
        )
        index = IndexInventoryOperator(task_id="index_inventory", target=target.name, **patient)
        back_up >> [everywhere, index]
    return dag


for _target in load_targets().targets.values():
    define_backup(_target)
