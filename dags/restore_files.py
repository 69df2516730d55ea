"""
## Restore files

Brings files and folders of a tree back **without touching the live ones until their replacements have been
restored beside them and read again, each hash**. Then they change names; the former ones are kept beside, as
`….before-<time>`. `swap_back_files` goes back to them.

### How
1. Press *Trigger*, choose the target and the tree. **Backup** is a label, `latest`, or a time with its zone:
   the newest backup that was finished by then. **Only** names paths or globs, if not everything is wanted.
2. `plan` says how many files would be added, changed and deleted, and names the first; with **dry run** the
   run ends there. With a **Destination**, a new folder, nothing live is touched at all.
3. `approve` waits under *Required Actions*, as the tree's policy asks before live files are replaced. Whoever
   asked cannot approve.
4. `restore_beside` and `validate` take their time; nobody sees what they make.
5. `swap` exchanges the names and runs the tree's `after_restore` commands: their output is in its log.

### When a task is red
The live files are as they were unless `swap` itself is red.

- **`plan`:** there is no such backup, it cannot be read, or there is no room; the log names the next step.
- **`approve`:** rejected, unanswered, or answered by whoever asked. Trigger again.
- **`restore_beside`:** what was made so far has been removed. Mend what is named, then clear the task.
- **`validate`:** what was restored differs from the backup. Restore another one, or from another repository.
- **`swap`, saying that the former files are back:** a command of `after_restore` failed with the restored
  files, and its output is there. What was restored is kept beside, to be looked at.
- **`swap`, saying that the restored files are live:** the command failed and `undo_on_failure` is false. Mend
  it and run it by hand, or trigger `swap_back_files`.
- **`swap`, saying anything else:** nothing was exchanged.

**If Airflow is what died:** `python -m backstop restore-files --target <target> --tree <tree> --in-place`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.objective import files_recovery_time_alert
from backstop.notifications.runs import run_failed
from backstop.operators.base import result_of
from backstop.operators.choice import ANY_REPOSITORY
from backstop.operators.placement import placed
from backstop.operators.restore_files import (
    LATEST,
    MODES,
    ApproveFilesRestoreOperator,
    PlanFilesRestoreOperator,
    RestoreFilesBesideOperator,
    StopDryRunOperator,
    SwapFilesOperator,
    ValidateFilesOperator,
)
from backstop.operators.roles import roles_for
from backstop.targets import Target, Tree, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "{{ params.target }}"


def define_files_restore(queue: str | None, trees: Sequence[tuple[Target, Tree]]) -> DAG:
    """One DAG for the trees whose files the same workers have."""
    targets = sorted({target.name for target, _ in trees})
    names = sorted({tree.name for _, tree in trees})
    with DAG(
        dag_id=f"restore_files__{queue}" if queue else "restore_files",
        dag_display_name=f"Restore files ({queue})" if queue else "Restore files",
        description="Plan, approve, restore beside, validate, swap",
        doc_md=__doc__,
        schedule=None,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "target": Param(targets[0], title="Target", type="string", enum=targets),
            "tree": Param(
                names[0], "One of the target's file trees.", title="Tree", type="string", enum=names
            ),
            "backup": Param(
                LATEST,
                "latest; a label such as 20261123T020000Z-tree-media; a time such as 2026-11-23T12:00:00Z",
                title="Backup",
                type="string",
            ),
            "only": Param(
                [],
                "Whole paths or globs of them, one a line: these, and what is below them. Empty: everything.",
                title="Only",
                type=["array", "null"],
                items={"type": "string"},
            ),
            "mode": Param("swap", title="What to do", type="string", enum=list(MODES), values_display=MODES),
            "destination": Param(
                "",
                "A new folder, to leave the live files alone. Empty: in their place.",
                title="Destination",
                type=["string", "null"],
            ),
            "repository": Param(
                ANY_REPOSITORY,
                "Name of a repository; any: the first that has it.",
                title="Read it from",
                type="string",
            ),
        },
        deadline=files_recovery_time_alert([tree for _, tree in trees]),
        default_args=placed(None, "restore", queue=queue),
        access_control=roles_for("restore", [target for target, _ in trees]),
        tags=["backstop", "restore", "files", *targets],
    ) as dag:
        plan = PlanFilesRestoreOperator(
            task_id="plan",
            target=TARGET,
            tree="{{ params.tree }}",
            backup="{{ params.backup }}",
            only="{{ (params.only or []) | tojson }}",
            mode="{{ params.mode }}",
            destination="{{ params.destination or '' }}",
            repository="{{ params.repository }}",
        )
        dry_run = StopDryRunOperator(task_id="stop_if_dry_run", target=TARGET, plan=result_of("plan"))
        approval = ApproveFilesRestoreOperator(
            task_id="approve", plan=result_of("plan"), choice=result_of("plan")
        )
        planned = {
            "target": TARGET,
            "plan": result_of("plan"),
            "approval": result_of("approve"),
            "swapped": result_of("swap"),
        }
        restored = RestoreFilesBesideOperator(
            task_id="restore_beside", **planned, retries=2, retry_delay=timedelta(minutes=1)
        )
        beside = {**planned, "restored": result_of("restore_beside")}
        validated = ValidateFilesOperator(task_id="validate", **beside)
        swapped = SwapFilesOperator(task_id="swap", **beside, validated=result_of("validate"))

        plan >> dry_run >> approval >> restored >> validated >> swapped
    return dag


_all = [(target, tree) for target in load_targets().targets.values() for tree in target.trees.values()]
for _queue in sorted({tree.queue or target.queue for target, tree in _all}, key=str):
    define_files_restore(_queue, [one for one in _all if (one[1].queue or one[0].queue) == _queue])
