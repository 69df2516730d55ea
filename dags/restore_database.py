"""
## Restore a database

Brings a backup back **without touching the live database until its replacement has been restored beside it
and found equal**. Only then comes a short swap: application stopped, both databases renamed, application
started. The former database is kept; `swap_back_database` goes back to it.

### How
1. Press *Trigger*, choose the target. Leave **Backup** empty to be shown the known backups.
2. `choose_backup` waits under *Required Actions*: choose the backup, and whether to swap or only to keep
   the copy beside.
3. `approve` waits there too, as the target's policy asks: it shows the plan and what will be given up.
   Whoever asked cannot approve. Rejected or unanswered, the run fails and nothing has been touched. The
   approval holds for `restore.approval_timeout`: by then the restore must have begun. It has a day more to
   reach the swap, and one swap uses the approval up; clearing tasks later than that needs a new run.
4. `restore_beside` and `validate` take their time; the application does not notice.
5. `swap` is the downtime: its log and result say how long it was.

### When a task is red
The live database is as it was unless `swap` itself is red. The last line of the log names the object and
the next step.

- **`choose_backup`, `approve`:** cancelled, rejected, unanswered, or answered by whoever asked. Trigger
  again. (An answer by a program within a second of the question fails too, with an empty log: Airflow 3.3
  takes the task for crashed, apache/airflow#72716.)
- **`plan_restore`:** it cannot work as things are; the log says why (role, server version, key, repository).
- **`restore_beside`:** the half-made copy has been removed. Mend what is named, then clear the task.
- **`validate`:** the copy differs from the backup and is kept to be looked at. Restore another backup.
- **`check_swap`:** subscriptions, prepared transactions or logical slots forbid renaming. Clear what is
  named, then clear this task.
- **`swap`:** the log says whether the databases were renamed. Either way `reopen` has opened the live name
  and started the application again.

**If Airflow is what died:** `python -m backstop restore-database --target <target> --swap`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.objective import recovery_time_alert
from backstop.notifications.runs import run_failed
from backstop.operators.approval import ApproveRestoreOperator
from backstop.operators.base import result_of
from backstop.operators.choice import ANY_REPOSITORY, MODES, NEWEST_PROVEN, ChooseBackupOperator
from backstop.operators.placement import placed
from backstop.operators.restore import (
    PlanRestoreOperator,
    RestoreBesideOperator,
    StopBesideOperator,
    ValidateRestoredOperator,
)
from backstop.operators.roles import roles_for
from backstop.operators.swap import CheckSwapOperator, ReopenDatabaseOperator, SwapDatabaseOperator
from backstop.targets import Target, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "{{ params.target }}"


def define_restore(queue: str | None, targets: Sequence[Target]) -> DAG:
    """One DAG for the targets whose databases the same workers can reach."""
    names = sorted(target.name for target in targets)
    with DAG(
        dag_id=f"restore_database__{queue}" if queue else "restore_database",
        dag_display_name=f"Restore a database ({queue})" if queue else "Restore a database",
        description="Choose, plan, approve, restore beside, validate, swap",
        doc_md=__doc__,
        schedule=None,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "target": Param(names[0], "What to restore.", title="Target", type="string", enum=names),
            "backup_label": Param(
                "",
                f"A label such as 20261123T010000Z-dump, or: {NEWEST_PROVEN}. Leave it empty to be shown "
                "every known backup in a form.",
                title="Backup",
                type=["string", "null"],
            ),
            "mode": Param("swap", title="What to do", type="string", enum=list(MODES), values_display=MODES),
            "repository": Param(
                ANY_REPOSITORY,
                "Name of a repository; any: the first that holds the backup, proven ones first.",
                title="Read it from",
                type="string",
            ),
        },
        deadline=recovery_time_alert(targets),
        default_args=placed(None, "restore", queue=queue),
        access_control=roles_for("restore", targets),
        tags=["backstop", "restore", *names],
    ) as dag:
        choice = ChooseBackupOperator(
            task_id="choose_backup",
            target=TARGET,
            backup_label="{{ params.backup_label or '' }}",
            mode="{{ params.mode }}",
            repository="{{ params.repository }}",
        )
        plan = PlanRestoreOperator(task_id="plan_restore", target=TARGET, choice=result_of("choose_backup"))
        approval = ApproveRestoreOperator(
            task_id="approve", plan=result_of("plan_restore"), choice=result_of("choose_backup")
        )
        planned = {
            "target": TARGET,
            "plan": result_of("plan_restore"),
            "approval": result_of("approve"),
            "swapped": result_of("swap"),
        }
        restored = RestoreBesideOperator(
            task_id="restore_beside", **planned, retries=2, retry_delay=timedelta(minutes=1)
        )
        validated = ValidateRestoredOperator(task_id="validate", **planned)
        beside_only = StopBesideOperator(
            task_id="stop_if_beside", target=TARGET, choice=result_of("choose_backup")
        )
        checked = {**planned, "validated": result_of("validate")}
        check = CheckSwapOperator(task_id="check_swap", **checked).as_setup()
        swapped = SwapDatabaseOperator(task_id="swap", **checked)
        reopened = ReopenDatabaseOperator(
            task_id="reopen",
            target=TARGET,
            plan=result_of("plan_restore"),
            outcome=result_of("swap"),
            retries=5,
            retry_delay=timedelta(seconds=5),
        ).as_teardown(setups=check)

        choice >> plan >> approval >> restored >> validated >> beside_only >> check >> swapped >> reopened
    return dag


_targets = [one for one in load_targets().targets.values() if one.database.restore_conn_id]
for _queue in sorted({one.queue for one in _targets}, key=str):
    define_restore(_queue, [one for one in _targets if one.queue == _queue])
