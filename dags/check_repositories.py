"""
## Check repositories

Reads a part of what each repository stores again, byte for byte, and compares it with the SHA-256 that the
signed manifests name; WAL is opened, because its names say what is in it. Successive runs come by everything.
Beside that it lists what is left over: objects that no backup names.

**When:** at `check.schedule` of the target in `targets.yaml` (default weekly), `check.share` of the objects
each time (default 5 %). To read everything now, press *Trigger* and set the share to `100%`.

**What it costs:** the bytes are read from where they lie; from a bucket, that is traffic. A run that was
killed goes on where it was, on the same worker.

**Healing** is only done when it is asked for, by the parameter: a copy in another repository is read and
compared first, and nothing is removed while there is none. So nobody has to approve it.

### When a task is red
- **`check`, saying *is damaged*:** the log names each object and the backups that cannot be restored from
  there. Where this worker signs proofs they have stopped counting as proven. Trigger again with *heal*,
  then prove them anew with `python -m backstop verify --label <label>`. What is damaged in every repository
  is lost: take a new backup now, and hold older ones. Then find out what is wrong with the disk.
- **`check`, saying *not to be trusted*:** a manifest was damaged, or signed by nobody we trust. Find out who
  wrote it; once it is removed, `sync_repositories` brings the backup again from where it is whole.
- **`check`, saying anything else:** nothing was found out. The last line of the log names the next step.
- **`list_orphans`:** a manifest cannot be trusted, so nobody can tell what is left over. See above.

To remove what is left over: `python -m backstop orphans --target <target> --remove`.

Without Airflow: `python -m backstop check-objects --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param

from backstop.notifications.runs import run_failed
from backstop.operators.check import CheckObjectsOperator, ListOrphansOperator
from backstop.operators.placement import in_pool, placed
from backstop.targets import Configuration, Target, load_targets
from backstop.wiring import every_repository

SHARE = r"^(\d{1,3}(\.\d+)?%)?$"


def define_check(configuration: Configuration, target: Target) -> DAG:
    schedule = target.check.schedule
    repositories = every_repository(configuration, target.name)
    patient = {"retries": 2, "retry_delay": timedelta(minutes=5)}
    with DAG(
        dag_id=f"check_repositories__{target.name}",
        dag_display_name=f"Check the repositories of {target.name}",
        description="Read stored objects again, name what is damaged, list what is left over",
        doc_md=__doc__,
        schedule=CronTriggerTimetable(schedule, timezone="UTC", run_immediately=timedelta(0))
        if schedule
        else None,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "share": Param(
                "",
                "Such as 100%. Empty: what targets.yaml says.",
                title="Share",
                type=["string", "null"],
                pattern=SHARE,
            ),
            "heal": Param(
                False,
                "Put good copies of other repositories in the place of what is damaged.",
                title="Heal",
                type="boolean",
            ),
            "restart": Param(
                False, "Do not go on with a check that was killed.", title="Begin anew", type="boolean"
            ),
        },
        default_args=placed(target, "upkeep"),
        tags=["backstop", "check", target.name, *target.tags],
    ) as dag:
        CheckObjectsOperator.partial(
            task_id="check",
            target=target.name,
            share="{{ params.share or '' }}",
            heal="{{ params.heal | tojson }}",
            restart="{{ params.restart | tojson }}",
            # One after the other: healing reads from the others.
            max_active_tis_per_dagrun=1,
            map_index_template="{{ task.repository }}",
            **in_pool(target, "transfers"),
            **patient,
        ).expand(repository=repositories)
        ListOrphansOperator.partial(
            task_id="list_orphans",
            target=target.name,
            map_index_template="{{ task.repository }}",
            **patient,
        ).expand(repository=repositories)
    return dag


_configuration = load_targets()
for _target in _configuration.targets.values():
    define_check(_configuration, _target)
