"""
## Archive WAL

Everything that is committed lands in the write-ahead log (WAL). It is received as it is written and stored
in every repository of the target, a couple of seconds behind at most: what a disaster could cost is the part
that no repository has yet. Together with a base backup it brings the cluster back to any moment.

**Who receives it:** `cluster.wal.runner` of the target in `targets.yaml`. By default a service that runs by
itself (`python -m backstop archive-wal`, a systemd unit or a container), so that WAL flows while Airflow is
upgraded; then this DAG looks every five minutes whether it does. With `airflow`, the task `archive` is the
receiver: it ends after some hours, and the next run goes on within seconds. The server keeps WAL until a
repository has acknowledged it, so nothing is missing in between.

### When a task is red
- **`watch`, saying that a repository is behind:** is the service running
  (`systemctl status backstop-archive-wal@<target>`)? Its log names what it waits for. The server keeps the
  WAL meanwhile, up to `max_slot_wal_keep_size`: after that it gives up the slot.
- **`watch` or `archive`, saying that WAL is missing** (the slot was dropped or given up): no recovery can
  pass that point. Take a new base backup at once: `python -m backstop archive-wal --recreate-slot`, then
  `take_base_backup__<target>`.
- **`archive`, saying that somebody else streams from the slot:** two receivers were started. One is enough.
- **`archive`, saying anything else:** the last line of the log names the next step; the next run tries again.

Without Airflow: `python -m backstop archive-wal --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from backstop.notifications.runs import run_failed
from backstop.operators.placement import placed
from backstop.operators.wal import ArchiveWalOperator, WatchWalArchivingOperator
from backstop.targets import Cluster, Target, load_targets


def define_archiving(target: Target, cluster: Cluster) -> DAG:
    receives = cluster.wal.runner == "airflow"
    with DAG(
        dag_id=f"archive_wal__{target.name}",
        dag_display_name=f"Archive WAL of {target.name}",
        description="Receive WAL and store it everywhere"
        if receives
        else "See that WAL reaches every repository",
        doc_md=__doc__,
        schedule="@continuous"
        if receives
        else CronTriggerTimetable(target.at("H/5 * * * *", "archive_wal"), timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        default_args=placed(target, "watch"),
        tags=["backstop", "WAL", target.name, *target.tags],
    ) as dag:
        if receives:
            ArchiveWalOperator(task_id="archive", target=target.name)
        else:
            WatchWalArchivingOperator(
                task_id="watch", target=target.name, retries=1, retry_delay=timedelta(seconds=20)
            )
    return dag


for _target in load_targets().targets.values():
    if _target.cluster is not None:
        define_archiving(_target, _target.cluster)
