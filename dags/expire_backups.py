"""
## Expire backups

Removes what `retention` in `targets.yaml` wants no more, from every repository of the target, and frees its
space. Nothing goes that cannot be replaced: not the newest proven backups, not what another backup needs, not
what is held, locked or being read, and nothing at all unless a newer *proven* backup can stand in for it.

**When:** at `expiry.schedule` in `targets.yaml` (04:30 UTC unless it says otherwise). To do it now, press
*Trigger*; **dry run** ends with the plan.

### How
1. `plan`, one for each repository: the log has the table of every backup, kept or not, and each reason in
   words. Nothing is removed. Where the repository has a `lock`, the locks of what stays beyond its time are
   extended, but for a dry run.
2. `show_plan` puts the plans together; the note on the run has the gist.
3. `approve` waits under *Required Actions* when more than `expiry.approve_above` of a repository's dumps,
   base backups, or backups of any one tree would go, or of their bytes, or when a drop is being accepted.
   Anything less goes on by itself.
4. `carry_out` decides once more and removes what goes, oldest first: the manifest before the objects, so that
   what is left after a crash is never half a backup. Never more backups go than the plan showed, nor more
   WAL: what has come of age since is left to the next run.
5. `report` says how many bytes were freed; `index_inventory` brings the inventory up to date.

**A backup holds less than before?** Far fewer rows or files than the last proven one hold everything up,
because the older backups may be all there is of what is missing. Find out. If it is meant, trigger this with
the backup's label under **Accept**: that is remembered.

### When a task is red
- **`plan`:** the repository does not answer; the log names it. The others go on, and nothing goes from this
  one. *The clock*: when it is far from the newest backup, nothing is decided at all.
- **`show_plan`:** a label under **Accept** is in no repository; or none could be planned.
- **`approve`:** rejected or unanswered. Nothing was removed. The next run asks again.
- **`carry_out`:** the next run finishes what was begun. Nothing that can be restored was lost; the log says
  how far it came.
- **`report`:** names the repositories where `carry_out` did not come to its end, and what cannot be believed:
  a manifest, a proof. As long as that is so nothing of its kind goes; everything else went.
- **`index_inventory`:** as in `back_up_database`.

**Keep a backup whatever happens:** `hold_backups`.

Without Airflow: `python -m backstop expire --target <target> --dry-run`, then without `--dry-run`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, CronTriggerTimetable, Param

from backstop.notifications.runs import run_failed
from backstop.operators.base import result_of
from backstop.operators.expiry import (
    CarryOutExpiryOperator,
    PlanExpiryOperator,
    ReportExpiryOperator,
    ShowExpiryOperator,
    StopExpiryDryRunOperator,
)
from backstop.operators.expiry_approval import ApproveExpiryOperator
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import placed
from backstop.operators.roles import roles_for
from backstop.targets import load_targets
from backstop.wiring import every_repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.targets import Target


def define_expiry(target: Target, repositories: Sequence[str]) -> DAG:
    patient = {"retries": 3, "retry_delay": timedelta(minutes=2), "retry_exponential_backoff": 2.0}
    accept = "{{ (params.accept or []) | tojson }}"
    with DAG(
        dag_id=f"expire_backups__{target.name}",
        dag_display_name=f"Expire backups of {target.name}",
        description="Remove what retention wants no more, once the plan is fit",
        doc_md=__doc__,
        schedule=target.expiry.schedule
        and CronTriggerTimetable(target.expiry.schedule, timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "dry_run": Param(False, "Only say what would go, and why.", title="Dry run", type="boolean"),
            "accept": Param(
                [],
                "Labels of backups that hold less than before on purpose, one a line.",
                title="Accept",
                type=["array", "null"],
                items={"type": "string"},
            ),
        },
        default_args=placed(target, "upkeep"),
        access_control=roles_for("expire", [target]),
        tags=["backstop", "expiry", target.name, *target.tags],
    ) as dag:
        plan = PlanExpiryOperator.partial(
            task_id="plan",
            target=target.name,
            accept=accept,
            dry_run="{{ params.dry_run | tojson }}",
            map_index_template="{{ task.repository }}",
            **patient,
        ).expand(repository=repositories)
        # A repository that cannot be planned keeps the others waiting for nothing.
        show = ShowExpiryOperator(
            task_id="show_plan",
            target=target.name,
            plans=result_of("plan"),
            accept=accept,
            dry_run="{{ params.dry_run | tojson }}",
            trigger_rule="all_done",
        )
        shown = {"target": target.name, "plan": result_of("show_plan")}
        dry_run = StopExpiryDryRunOperator(task_id="stop_if_dry_run", **shown)
        approval = ApproveExpiryOperator(
            task_id="approve", plan=result_of("show_plan"), choice=result_of("show_plan")
        )
        carried_out = CarryOutExpiryOperator.partial(
            task_id="carry_out",
            approval=result_of("approve"),
            map_index_template="{{ task.repository }}",
            **shown,
            **patient,
        ).expand(repository=repositories)
        report = ReportExpiryOperator(
            task_id="report",
            **shown,
            reports=result_of("carry_out"),
            repositories=repositories,
            trigger_rule="all_done_min_one_success",
        )
        index = IndexInventoryOperator(task_id="index_inventory", target=target.name, **patient)
        plan >> show >> dry_run >> approval >> carried_out >> [report, index]
        # A repository that could not be planned makes the run red, a dry run too.
        plan >> index
    return dag


_configuration = load_targets()
for _target in _configuration.targets.values():
    define_expiry(_target, every_repository(_configuration, _target.name))
