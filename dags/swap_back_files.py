"""
## Swap files back

Goes back to the files that the last restore of a tree has put aside (`….before-<time>`). Nothing is fetched
or restored: both lie side by side and change names, then the tree's `after_restore` commands run again. What
was restored is kept in its turn.

### How
1. Press *Trigger*, choose the target and the tree. It runs on the host that has the files and knows what was
   exchanged there last.
2. `approve` waits under *Required Actions*, as the tree's policy asks; whoever asked cannot approve. The
   approval holds for `restore.approval_timeout` and for one swap.
3. `swap_back` exchanges the names; the output of the commands is in its log.

### When a task is red
- **`plan_swap_back`:** nothing was swapped on this host. The former files, if any, are beside the live ones.
- **`approve`:** rejected, unanswered, or answered by whoever asked. Trigger again.
- **`swap_back`:** the log says which files are live, and what a command of `after_restore` said.

**If Airflow is what died:** `python -m backstop restore-files --target <target> --tree <tree> --swap-back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.runs import run_failed
from backstop.operators.base import result_of
from backstop.operators.placement import placed
from backstop.operators.restore_files import ApproveFilesRestoreOperator
from backstop.operators.roles import roles_for
from backstop.operators.swap_back_files import PlanFilesSwapBackOperator, SwapBackFilesOperator
from backstop.targets import Target, Tree, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "{{ params.target }}"


def define_files_swap_back(queue: str | None, trees: Sequence[tuple[Target, Tree]]) -> DAG:
    """One DAG for the trees whose files the same workers have."""
    targets = sorted({target.name for target, _ in trees})
    names = sorted({tree.name for _, tree in trees})
    with DAG(
        dag_id=f"swap_back_files__{queue}" if queue else "swap_back_files",
        dag_display_name=f"Swap files back ({queue})" if queue else "Swap files back",
        description="Go back to the files that a restore has put aside",
        doc_md=__doc__,
        schedule=None,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "target": Param(targets[0], title="Target", type="string", enum=targets),
            "tree": Param(
                names[0], "One of the target's file trees.", title="Tree", type="string", enum=names
            ),
        },
        default_args=placed(None, "restore", queue=queue),
        access_control=roles_for("restore", [target for target, _ in trees]),
        tags=["backstop", "restore", "files", *targets],
    ) as dag:
        plan = PlanFilesSwapBackOperator(task_id="plan_swap_back", target=TARGET, tree="{{ params.tree }}")
        approval = ApproveFilesRestoreOperator(
            task_id="approve", plan=result_of("plan_swap_back"), choice=result_of("plan_swap_back")
        )
        swapped = SwapBackFilesOperator(
            task_id="swap_back",
            target=TARGET,
            plan=result_of("plan_swap_back"),
            approval=result_of("approve"),
            swapped=result_of("swap_back"),
        )
        plan >> approval >> swapped
    return dag


_all = [(target, tree) for target in load_targets().targets.values() for tree in target.trees.values()]
for _queue in sorted({tree.queue or target.queue for target, tree in _all}, key=str):
    define_files_swap_back(_queue, [one for one in _all if (one[1].queue or one[0].queue) == _queue])
