"""
## Verify backups

Proves backups the only way there is: restores each one into a scratch PostgreSQL of its own, compares every
table, sequence and definition with the fingerprint taken in the backup's own snapshot, asks the target's
`verify.queries`, and records a signed proof with the durations of every phase.

A base backup is proven by a recovery: restored with its WAL into such a server, replayed to the newest point,
every page compared with its checksum, `cluster.recovery.queries` asked.

A backup of files is proven by restoring it into scratch: all of it, or a random share of its files
(`verify.share`, recorded), content and metadata compared with its list.

**When:** a new backup wakes it, of whatever kind; so does the clock, every hour, where a service on another
host backs files up by itself. It works off *everything* that `verify.policy` wants proven and is not, in
every repository, newest first, one at a time: a run that was missed or failed is made up for by the next.
To prove what is left now, press *Trigger*.

**What a dump contains is code.** The scratch server runs apart from the machine: no network, an empty
environment, no sight of keys and repositories. Nothing of it is left behind, whatever happens.

### When a task is red
- **`verify`, saying *is not what was backed up*:** this copy is bad; the log names each table that differs.
  Do not restore it. The other repository's copy has a `verify` task of its own and may be good. Take a new
  backup, then find out what damaged this one.
- **`verify`, saying anything else:** the backup could not be judged, which says nothing about it. The last
  line of the log names the next step, such as the package that brings a missing extension. Trigger again.
- **`verify` is skipped:** that backup was expired after it had been listed. Nothing is left to prove.
- **`check_repositories`:** a repository cannot be read, or holds manifests that nobody we trust has signed;
  the log names them. The other backups are proven meanwhile.
- **`index_inventory`:** as in `back_up_database`; the proofs themselves are in the repositories.
- **`sweep_scratch_again`:** leftovers of a killed restore could not be removed; the log says where they are.

Without Airflow: `python -m backstop verify --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable

from backstop.notifications.runs import run_failed
from backstop.operators.asset import cluster_backups, database_backups, tree_backups
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import in_pool, placed
from backstop.operators.verification import (
    CheckRepositoriesOperator,
    ListUnprovenOperator,
    SweepScratchOperator,
    VerifyBackupOperator,
)
from backstop.targets import Target, load_targets


def define_verification(target: Target) -> DAG:
    with DAG(
        dag_id=f"verify_backups__{target.name}",
        dag_display_name=f"Verify backups of {target.name}",
        description="Restore what is unproven into a scratch server, compare it, record proofs",
        doc_md=__doc__,
        schedule=_schedule(target),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        default_args=placed(target, "upkeep"),
        tags=["backstop", "verification", target.name, *target.tags],
    ) as dag:
        list_unproven = ListUnprovenOperator(
            task_id="list_unproven", target=target.name, retries=2, retry_delay=timedelta(minutes=1)
        )
        sweep_before = SweepScratchOperator(task_id="sweep_scratch", target=target.name).as_setup()
        verify = VerifyBackupOperator.partial(
            task_id="verify",
            target=target.name,
            # One scratch server at a time: each takes the disk of a whole database.
            max_active_tis_per_dagrun=1,
            retries=2,
            retry_delay=timedelta(minutes=1),
            map_index_template="{{ task.backup_label }} in {{ task.repository }}",
            **in_pool(target, "scratch"),
        ).expand_kwargs(list_unproven.output)
        # Teardowns do not count for the state of the run: with `on_failure_fail_dagrun` they alone would, and
        # a failed proof behind a clean sweep would look like success.
        index = IndexInventoryOperator(
            task_id="index_inventory", target=target.name, retries=3, retry_delay=timedelta(minutes=2)
        ).as_teardown(setups=sweep_before)
        sweep_after = SweepScratchOperator(task_id="sweep_scratch_again", target=target.name).as_teardown(
            setups=sweep_before
        )
        CheckRepositoriesOperator(
            task_id="check_repositories", target=target.name, retries=2, retry_delay=timedelta(minutes=1)
        )
        list_unproven >> sweep_before >> verify >> [index, sweep_after]
    return dag


def _schedule(target: Target) -> Any:
    """A backup of any kind, whichever comes: all kinds are worked off."""
    kinds = [database_backups(target.name)]
    kinds += [cluster_backups(target.name)] if target.cluster else []
    kinds += [tree_backups(target.name, tree) for tree in target.trees]
    woken = AssetAny(*kinds)
    if any(tree.on_change and tree.on_change.watcher == "service" for tree in target.trees.values()):
        # That service backs up by itself, and nothing tells Airflow.
        every_hour = target.at("H * * * *", "verify")
        hourly = CronTriggerTimetable(every_hour, timezone="UTC", run_immediately=timedelta(0))
        return AssetOrTimeSchedule(timetable=hourly, assets=woken)
    return woken


for _target in load_targets().targets.values():
    define_verification(_target)
