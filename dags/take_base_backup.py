"""
## Take a base backup

Copies the files of the target's whole PostgreSQL server, while it works, into every repository: the server
sends them, or, with `cluster.file_copy`, a worker on its host reads them for full backups. Together
with the WAL that `archive_wal__<target>` keeps storing, a base backup can be recovered to any moment after
its end.

**When:** at `cluster.full` and `cluster.incremental` of the target in `targets.yaml` (UTC). A full one that
was missed is made up for by the next run. To take one now, press *Trigger* and choose the kind.

**What it leaves:** a backup with a label such as `20261122T030000Z-full`, published only once the same
repository holds all WAL up to its end. It is *proven* once `verify_backups__<target>`, which this wakes,
has recovered it.

### When a task is red
- **`take`, saying that WAL archiving does not keep up:** see `archive_wal__<target>`; without its WAL a base
  backup is worth nothing, so none was published. Trigger again once WAL flows.
- **`take`, saying that the server found damaged pages:** the live cluster's disk is damaged. Do not let
  retention remove older backups; find the table by the file that is named, and restore it.
- **`take`, saying that a directory is not the data directory of the server:** with `cluster.file_copy` the
  worker reads the server's files, and what it found there is another's: a former directory, another host's,
  a standby's. Correct `data_directory`, or the target's `queue`. Without them:
  `python -m backstop take-base-backup --full --over-network`.
- **`take`, saying that a file cannot be read, or that a role may not execute `pg_backup_start`:** the hint
  names the right that is missing; docs/access.md has all of them.
- **`take`, saying that the server is another cluster:** two servers under one target would overwrite each
  other's history. After a `pg_upgrade` or a new `initdb`, take one full base backup with
  `python -m backstop take-base-backup --full --new-cluster <system identifier>`.
- **`take`, saying anything else:** nothing was published. The last line of the log names the next step.
- **`require_every_repository`:** the base backup exists, but not everywhere. Repair what is named.
- **`index_inventory`:** as in `back_up_database`.

Without Airflow: `python -m backstop take-base-backup --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, MultipleCronTriggerTimetable, Param

from backstop.notifications.runs import run_failed
from backstop.operators.backup import RequireEveryRepositoryOperator
from backstop.operators.base import result_of
from backstop.operators.base_backup import KINDS, TakeBaseBackupOperator
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import in_pool, placed
from backstop.targets import Cluster, Target, load_targets


def define_base_backup(target: Target, cluster: Cluster) -> DAG:
    patient = {"retries": 3, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": 2.0}
    schedules = [cron for cron in (cluster.full, cluster.incremental) if cron]
    with DAG(
        dag_id=f"take_base_backup__{target.name}",
        dag_display_name=f"Take a base backup of {target.name}",
        description="Copy the whole PostgreSQL server into every repository",
        doc_md=__doc__,
        # As for dumps: the first run waits for its schedule, a missed one is made up for once.
        schedule=MultipleCronTriggerTimetable(*schedules, timezone="UTC", run_immediately=timedelta(0))
        if schedules
        else None,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={"kind": Param("due", title="Kind", type="string", enum=list(KINDS), values_display=KINDS)},
        default_args=placed(target, "backup"),
        tags=["backstop", "base backup", target.name, *target.tags],
    ) as dag:
        take = TakeBaseBackupOperator(
            task_id="take",
            target=target.name,
            kind="{{ params.kind }}",
            **in_pool(target, "transfers"),
            **patient,
        )
        everywhere = RequireEveryRepositoryOperator(
            task_id="require_every_repository", target=target.name, report=result_of("take")
        )
        index = IndexInventoryOperator(task_id="index_inventory", target=target.name, **patient)
        take >> [everywhere, index]
    return dag


for _target in load_targets().targets.values():
    if _target.cluster is not None:
        define_base_backup(_target, _target.cluster)
