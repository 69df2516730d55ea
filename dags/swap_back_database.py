"""
## Swap a database back

Goes back to the database that a restore has put aside (`calibrify_replaced_…`). Nothing is fetched or
restored: both databases exist, and change names. What was committed since the swap is not in the one that
comes back; it stays in the other, which is kept in its turn, under a new `calibrify_replaced_…`.

### How
1. Press *Trigger*, choose the target. Name the **Former database** where several are kept; leave it
   empty where there is only one. (A name tells when its swap was planned.)
2. `approve` waits under *Required Actions*, as the target's policy asks; whoever asked cannot approve.
   The approval holds for `restore.approval_timeout` and for one swap.
3. `swap` is the downtime: its log and result say how long it was.

### When a task is red
The live database is as it was unless `swap` itself is red.

- **`plan_swap_back`:** no former database is kept, none of that name, or several and none was named; the log
  lists those there are.
- **`approve`:** rejected, unanswered, or answered by whoever asked. Trigger again.
- **`check_swap`:** subscriptions, prepared transactions or logical slots forbid renaming. Clear what is
  named, then clear this task.
- **`swap`:** the log says whether the databases were renamed. Either way `reopen` has opened the live name
  and started the application again.

**If Airflow is what died:** `python -m backstop restore-database --target <target> --swap-back [DATABASE]`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.runs import run_failed
from backstop.operators.approval import ApproveRestoreOperator
from backstop.operators.base import result_of
from backstop.operators.placement import placed
from backstop.operators.roles import roles_for
from backstop.operators.swap import (
    CheckSwapOperator,
    PlanSwapBackOperator,
    ReopenDatabaseOperator,
    SwapDatabaseOperator,
)
from backstop.targets import Target, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "{{ params.target }}"


def define_swap_back(queue: str | None, targets: Sequence[Target]) -> DAG:
    """One DAG for the targets whose databases the same workers can reach."""
    names = sorted(target.name for target in targets)
    with DAG(
        dag_id=f"swap_back_database__{queue}" if queue else "swap_back_database",
        dag_display_name=f"Swap a database back ({queue})" if queue else "Swap a database back",
        description="Go back to the database that a restore has put aside",
        doc_md=__doc__,
        schedule=None,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "target": Param(names[0], "What to swap back.", title="Target", type="string", enum=names),
            "former": Param(
                "",
                "Such as calibrify_replaced_20261123t113000z. Needed where several are kept.",
                title="Former database",
                type=["string", "null"],
            ),
        },
        default_args=placed(None, "restore", queue=queue),
        access_control=roles_for("restore", targets),
        tags=["backstop", "restore", *names],
    ) as dag:
        plan = PlanSwapBackOperator(
            task_id="plan_swap_back", target=TARGET, former="{{ params.former or '' }}"
        )
        approval = ApproveRestoreOperator(
            task_id="approve", plan=result_of("plan_swap_back"), choice=result_of("plan_swap_back")
        )
        planned = {
            "target": TARGET,
            "plan": result_of("plan_swap_back"),
            "approval": result_of("approve"),
            "swapped": result_of("swap"),
        }
        check = CheckSwapOperator(task_id="check_swap", **planned).as_setup()
        swapped = SwapDatabaseOperator(task_id="swap", **planned)
        reopened = ReopenDatabaseOperator(
            task_id="reopen",
            target=TARGET,
            plan=result_of("plan_swap_back"),
            outcome=result_of("swap"),
            retries=5,
            retry_delay=timedelta(seconds=5),
        ).as_teardown(setups=check)

        plan >> approval >> check >> swapped >> reopened
    return dag


_targets = [one for one in load_targets().targets.values() if one.database.restore_conn_id]
for _queue in sorted({one.queue for one in _targets}, key=str):
    define_swap_back(_queue, [one for one in _targets if one.queue == _queue])
