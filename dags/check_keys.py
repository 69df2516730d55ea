"""
## Check keys

Opens the oldest and the newest of every kind of backup, and of WAL, in every repository, with the credentials
and keys that a restore would have. A key that is enabled may still be closed to whoever restores; a backup
that was proven last month may be so by a key that has gone since.

**When:** daily after 03:00 UTC, each target at a minute of its own. The smallest object of each is read: it
costs next to nothing.

### When a task is red
- **`check`, saying *do not open*:** restores from there fail now. The log names each object, and the key it
  takes: [the key is disabled](runbook.md#the-key-is-disabled). Do not wait for the next backup: until a key
  opens it, it is none.
- **`check`, saying anything else:** a repository could not be looked at; the log says why.

Without Airflow: `python -m backstop check-keys --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from backstop.notifications.runs import run_failed
from backstop.operators.keys import CheckKeysOperator
from backstop.operators.placement import placed
from backstop.targets import Target, load_targets


def define_key_check(target: Target) -> DAG:
    with DAG(
        dag_id=f"check_keys__{target.name}",
        dag_display_name=f"Check the keys of {target.name}",
        description="Open the oldest and the newest of everything, as a restore would",
        doc_md=__doc__,
        schedule=CronTriggerTimetable(target.at("H 3 * * *", "check_keys"), timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        default_args={**placed(target, "upkeep"), "retries": 2, "retry_delay": timedelta(minutes=10)},
        tags=["backstop", "keys", target.name, *target.tags],
    ) as dag:
        CheckKeysOperator(task_id="check", target=target.name)
    return dag


for _target in load_targets().targets.values():
    define_key_check(_target)
