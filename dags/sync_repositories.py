"""
## Sync repositories

Brings every repository of the target up to what the others have: a backup that was made while one of them was
down, WAL that reached only one, holds, and the whole history of a repository that is new in `targets.yaml`.
What is copied is the ciphertext, checked against the hashes in the signed manifest on its way; nothing is
decrypted, and the database is not asked. A repository gets only what its own retention keeps.

**When:** every hour, for targets with several repositories. An interrupted run goes on where it was. To copy
now, press *Trigger*.

**What it leaves:** the same backups everywhere. Proofs are not copied: each copy is proven by a restore of
its own. Backups stay free to run; for a moment at each publication one has to wait, and is tried again.

### When a task is red
- **`sync`:** nobody could look: the log names the repository or the key that is missing.
- **`require_in_step`, saying that a repository did not answer:** repair it; the next run fills it.
- **`require_in_step`, saying that an object *is not what was stored*:** that copy is damaged, and no other
  repository has a good one. Take a new backup, then see `check_repositories__<target>`.
- **`require_in_step`, saying that WAL is stored *with several contents*, or that *another backup has this
  label*:** two servers, or two Airflows that did not see each other, wrote under this target. Nothing is
  overwritten. Find out which is the real one, and take a new base backup of it.
- **`require_in_step`, saying *no space*:** give that repository space, or a shorter retention.
- **`index_inventory`:** as in `back_up_database`.

Without Airflow: `python -m backstop sync-repositories --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from backstop.notifications.runs import run_failed
from backstop.operators.base import result_of
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import in_pool, placed
from backstop.operators.sync import RequireInStepOperator, SyncRepositoriesOperator
from backstop.settings.sync import has_several
from backstop.targets import Target, load_targets


def define_sync(target: Target) -> DAG:
    patient = {"retries": 2, "retry_delay": timedelta(minutes=5)}
    with DAG(
        dag_id=f"sync_repositories__{target.name}",
        dag_display_name=f"Sync repositories of {target.name}",
        description="Copy what one repository has and another should have",
        doc_md=__doc__,
        schedule=CronTriggerTimetable(target.at("H * * * *", "sync"), timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        default_args=placed(target, "upkeep"),
        tags=["backstop", "sync", target.name, *target.tags],
    ) as dag:
        sync = SyncRepositoriesOperator(
            task_id="sync", target=target.name, **in_pool(target, "transfers"), **patient
        )
        in_step = RequireInStepOperator(
            task_id="require_in_step", target=target.name, report=result_of("sync")
        )
        index = IndexInventoryOperator(task_id="index_inventory", target=target.name, **patient)
        sync >> [in_step, index]
    return dag


_configuration = load_targets()
for _target in _configuration.targets.values():
    if has_several(_configuration, _target.name):
        define_sync(_target)
