"""
## Back up files

Backs one file tree of the target up to every repository of the tree: its files and folders with everything
that belongs to them, encrypted. Only content that no earlier backup holds is stored; every backup can be
restored by itself all the same.

**When:** at the tree's `schedule` in `targets.yaml` (UTC), and, with `on_change`, whenever something in it
has changed: a burst of changes becomes one backup, seconds after its end. A file that is touched or saved as
it was is no change. What was changed while Airflow was down is found when it comes up. To back up now, press
*Trigger*.

**What it leaves:** a backup with a label such as `20261123T020000Z-tree-media`, and what has changed since
the one before as the note on the run. It counts as *completed* now and as *proven* once
`verify_backups__<target>`, which this wakes, has restored it.

A run that changes have woken is skipped when another run has backed them up already.

### When a task is red
- **`back_up`, saying that a path does not exist:** nothing was published, and the last good backup is kept.
  Is a disk not mounted? A path that is gone for good has to leave `paths` in `targets.yaml`.
- **`back_up`, saying that files cannot be read:** the log names them. Give the worker's user leave to read
  them, or say `unreadable: list`: then they are named in each backup that lacks them.
- **`back_up`, saying anything else:** no repository has a backup of this run. The last line of its log names
  the object and the next step. What time heals has been tried again three times by then.
- **`require_every_repository`:** the backup exists and can be restored, but not from everywhere. Repair the
  repository that is named; `sync_repositories__<target>` copies it there.
- **`index_inventory`:** as in `back_up_database`.

**Changes that start no run:** is this DAG paused, does the triggerer run, and does it see the files? A tree
on another host is watched by a service there (`on_change.watcher: service`, see docs/watching-files.md).

Without Airflow: `python -m backstop back-up-files --target <target> --tree <tree>`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable

from backstop.notifications.runs import run_failed
from backstop.operators.asset import tree_changes
from backstop.operators.backup import RequireEveryRepositoryOperator
from backstop.operators.base import result_of
from backstop.operators.files import BackUpFilesOperator
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import in_pool, placed
from backstop.targets import load_targets

if TYPE_CHECKING:
    from backstop.targets import Target, Tree


def define_file_backup(target: Target, tree: Tree) -> DAG:
    patient = {"retries": 3, "retry_delay": timedelta(minutes=2), "retry_exponential_backoff": 2.0}
    with DAG(
        dag_id=f"back_up_files__{target.name}__{tree.name}",
        dag_display_name=f"Back up {tree.name} of {target.name}",
        description=f"Files and folders into every repository: {', '.join(tree.paths)}",
        doc_md=__doc__,
        schedule=_schedule(target, tree),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        default_args=placed(target, "backup", tree=tree),
        tags=["backstop", "backup", "files", target.name, *target.tags],
    ) as dag:
        back_up = BackUpFilesOperator(
            task_id="back_up",
            target=target.name,
            tree=tree.name,
            **in_pool(target, "transfers"),
            **patient,
        )
        everywhere = RequireEveryRepositoryOperator(
            task_id="require_every_repository", target=target.name, report=result_of("back_up")
        )
        index = IndexInventoryOperator(task_id="index_inventory", target=target.name, **patient)
        back_up >> [everywhere, index]
    return dag


def _schedule(target: Target, tree: Tree) -> Any:
    # As for dumps: the first run waits for its time, a missed one is made up for once.
    at_times = tree.schedule and CronTriggerTimetable(
        tree.schedule, timezone="UTC", run_immediately=timedelta(0)
    )
    if tree.on_change is None or tree.on_change.watcher != "airflow":
        return at_times
    on_change = [tree_changes(target.name, tree)]
    return AssetOrTimeSchedule(timetable=at_times, assets=on_change) if at_times else on_change


for _target in load_targets().targets.values():
    for _tree in _target.trees.values():
        define_file_backup(_target, _tree)
