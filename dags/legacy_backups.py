"""
## Legacy backups

What scripts made before Backstop (`pg_dump | gzip`, `tar -czf`) is not thrown away and not trusted either:
each file is **read to its end, restored into scratch and asked `verify.queries`**, and a signed proof is
recorded. Then the old ones go **as new ones take their place**: by the retention of the repository they are
listed under, the oldest first, and one only for each new backup that has been proven there.

**When:** as `legacy.schedule` of targets.yaml says, or press *Trigger*. Only targets with a `legacy` section
have it; `docs/legacy.md` is the whole way from the scripts to Backstop.

### How
1. `verify` proves what is unproven, newest first, at most so many in one run.
2. `plan_retirement` logs what may go, and for every other file why it stays. It changes nothing.
3. `retire` removes what may go, if `legacy.retire` is true in targets.yaml. Otherwise it is skipped.
4. `list_legacy` logs every file that is left, and its state.

### When a task is red
- **`verify`, saying *not to be restored*:** those files are cut off, damaged, or do not restore, and now that
  is known. They count for nothing; clear the task to go on with the rest.
- **`verify`, saying anything else:** the file could not be judged. The last line names the next step.
- **`plan_retirement`:** the repository cannot be read, or one of its records is damaged. Nothing was removed.
- **`retire`:** some files could not be removed, or were changed since they were listed; each is named. What
  was removed stays removed, and the next run goes on where this one ended.
- **`list_legacy`:** a place cannot be read, or a proof was signed by nobody we trust; the log names it. The
  other places are worked on all the same. It does not run when one of the tasks before it is red.

To bring one back: `python -m backstop restore-legacy --target <target> --backup <name>`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, CronTriggerTimetable, Param

from backstop.notifications.runs import run_failed
from backstop.operators.legacy import (
    ListLegacyOperator,
    PlanRetirementOperator,
    RetireLegacyOperator,
    VerifyLegacyOperator,
)
from backstop.operators.placement import in_pool, placed
from backstop.targets import load_targets

if TYPE_CHECKING:
    from backstop.targets import Legacy, Target


def define_adoption(target: Target, legacy: Legacy) -> DAG:
    with DAG(
        dag_id=f"legacy_backups__{target.name}",
        dag_display_name=f"Legacy backups of {target.name}",
        description="Prove what scripts made before, and retire it as new backups take its place",
        doc_md=__doc__,
        schedule=_schedule(legacy),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "at_most": Param(
                24, "So many are restored in one run, newest first.", title="Prove", type="integer", minimum=0
            )
        },
        default_args=placed(target, "upkeep"),
        tags=["backstop", "legacy", target.name, *target.tags],
    ) as dag:
        again: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(minutes=1)}
        verify = VerifyLegacyOperator(
            task_id="verify",
            target=target.name,
            at_most="{{ params.at_most }}",
            **in_pool(target, "scratch"),
            **again,
        )
        # Old files that are bad must not keep good new backups from taking the others' place.
        plan = PlanRetirementOperator(
            task_id="plan_retirement", target=target.name, trigger_rule="all_done", **again
        )
        retire = RetireLegacyOperator(task_id="retire", target=target.name, **again)
        # The last task, so that the run is red when any before it was.
        listed = ListLegacyOperator(
            task_id="list_legacy", target=target.name, trigger_rule="none_failed", **again
        )
        verify >> plan >> retire >> listed
        verify >> listed
    return dag


def _schedule(legacy: Legacy) -> CronTriggerTimetable | None:
    return CronTriggerTimetable(legacy.schedule, timezone="UTC") if legacy.schedule else None


for _target in load_targets().targets.values():
    if _target.legacy is not None:
        define_adoption(_target, _target.legacy)
