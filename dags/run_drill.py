"""
## Run a drill

Rehearses a disaster, and measures it: a moment in the past is drawn, everything later is taken as lost, and
database, media and configuration are restored **elsewhere as if the originals were gone**. What comes back is
checked item by item, the time is held against RTO and the loss against RPO, everything is taken down again,
and somebody signs it off. Nothing live is touched: no server, no file, no backup.

**When:** at `drill.schedule` in `targets.yaml`; to drill now, press *Trigger*.

### How
1. **Scenario** says what is lost: the database, a tree, everything, a repository with it, the newest backups
   too (ransomware), or Airflow. Empty: what `drill.scenario` says; `rotate` takes another one each time.
   **Seed** draws the same moment again, **Moment** sets it. All three may stay empty.
2. `plan` names the moment, the components, and the repositories that are read.
3. `restore`, one for each component, in the drill's own folder; how long each takes is its downtime.
4. `check` carries the checklist out on what has come back, the target's own probes and validators among it.
5. `tear_down` removes everything, whatever happened before; then `record` puts what was found into evidence,
   with a report (its button *Report*).
6. `checklist` shows each item of the monthly checklist, red or green; `judge` holds it all against the
   objectives.
7. `sign_off` waits under *Required Actions*, with the results, the checklist and a field for remarks. Whoever
   answers is named in the evidence.

In the scenario `airflow`, `without_airflow` does steps 2 to 5 by the command line alone, in a process that
can neither import Airflow nor reach the inventory.

### When a task is red
A red drill is good news that came early. No backup and nothing live has suffered.

- **`plan`:** no repository leads to that moment; the log says why, and what is nearest.
- **`prepare`:** another drill of the target is under way, or the drill's folder cannot be made.
- **`restore`:** this component would not have come back. The log says why, as a real restore would. The
  others are restored and checked all the same.
- **`check`:** the checklist could not be carried out at all; its items count as not done.
- **`without_airflow`:** the command line failed; its last lines are in the log.
- **`tear_down`:** something is left behind; the log names it. Remove it, or clear the task.
- **`record`:** there was nothing to record, or no repository took it. Clear it once that is mended.
- **`checklist`:** the item that is named after it: its log says what was found, on which component.
- **`judge`:** the gist of it all: what did not come back, what took too long, what is lost. Mend it, then
  trigger again with the same **Moment** to see that it is mended.
- **`steps`:** never by itself: one of `restore`, `check`, `without_airflow` is red.
- **`sign_off`:** nobody answered in `drill.sign_off.within`, or somebody wants it done again. The record
  stands. To sign it off later: `python -m backstop sign-off-drill`.

**Without Airflow:** `python -m backstop run-drill --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, CronTriggerTimetable, Param

from backstop.model.drill import CHECKLIST
from backstop.notifications.runs import run_failed
from backstop.operators.base import result_of
from backstop.operators.drill import (
    LEFT_BEHIND,
    RESTORED,
    PlanDrillOperator,
    PrepareDrillOperator,
    RestoreDrillOperator,
    TearDownDrillOperator,
)
from backstop.operators.drill_alone import DrillWithoutAirflowOperator
from backstop.operators.drill_record import CheckDrillOperator, RecordDrillOperator
from backstop.operators.drill_sign_off import SignOffDrillOperator
from backstop.operators.drill_verdict import (
    ChecklistItemOperator,
    DrillStepsOperator,
    JudgeDrillOperator,
)
from backstop.operators.placement import in_pool, placed
from backstop.settings.scenarios import scenarios_of
from backstop.targets import load_targets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.targets import Target


def define_drill(target: Target, scenarios: Mapping[str, str]) -> DAG:
    patient = {"retries": 3, "retry_delay": timedelta(minutes=1)}
    as_configured = {"": f"as targets.yaml says: {target.drill.scenario}", **scenarios}
    with DAG(
        dag_id=f"run_drill__{target.name}",
        dag_display_name=f"Run a drill of {target.name}",
        description="Plan, restore elsewhere, check, take down, record, sign off",
        doc_md=__doc__,
        schedule=target.drill.schedule
        and CronTriggerTimetable(target.drill.schedule, timezone="UTC", run_immediately=timedelta(0)),
        catchup=False,
        # One that still waits for its sign-off must not hold up the next; two at a time the engine refuses.
        max_active_runs=4,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "scenario": Param(
                "",
                "What is lost.",
                title="Scenario",
                type=["string", "null"],
                enum=list(as_configured),
                values_display=as_configured,
            ),
            "seed": Param("", "Draws the same moment again.", title="Seed", type=["string", "null"]),
            "moment": Param(
                "",
                "When it happens, a time with its zone such as 2026-11-23T12:00:00Z, instead of a drawn one.",
                title="Moment",
                type=["string", "null"],
            ),
        },
        default_args=placed(target, "upkeep"),
        tags=["backstop", "drill", target.name, *target.tags],
    ) as dag:
        plan = PlanDrillOperator(
            task_id="plan",
            target=target.name,
            scenario="{{ params.scenario or '' }}",
            seed="{{ params.seed or '' }}",
            moment="{{ params.moment or '' }}",
            **patient,
        )
        planned = {"target": target.name, "plan": result_of("plan")}
        prepare = PrepareDrillOperator(task_id="prepare", **planned).as_setup()
        restore = RestoreDrillOperator.partial(
            task_id="restore",
            # One after the other, so that each is measured by itself.
            max_active_tis_per_dagrun=1,
            map_index_template="{{ task.component }}",
            **in_pool(target, "scratch"),
            **planned,
        ).expand(component=prepare.output)
        found = {"prepared": result_of("prepare"), "restored": result_of("restore", key=RESTORED)}
        # What has come back is checked although something else has not.
        check = CheckDrillOperator(task_id="check", **planned, **found, trigger_rule="all_done")
        alone = DrillWithoutAirflowOperator(task_id="without_airflow", **planned)
        tear_down = TearDownDrillOperator(
            task_id="tear_down", **planned, retries=2, retry_delay=timedelta(seconds=10)
        ).as_teardown(setups=prepare)
        record = RecordDrillOperator(
            task_id="record",
            **planned,
            **found,
            checked=result_of("check"),
            left_behind=result_of("tear_down", key=LEFT_BEHIND),
            alone=result_of("without_airflow"),
            trigger_rule="all_done",
            **patient,
        )
        recorded = {"target": target.name, "record": result_of("record")}
        checklist = ChecklistItemOperator.partial(
            task_id="checklist", map_index_template="{{ task.item }}", **recorded
        ).expand(item=list(CHECKLIST))
        # The run ends as these leaves do: a drill that failed stays red whoever signs it off, and a teardown,
        # which does not count for the run, cannot hide that.
        judge = JudgeDrillOperator(task_id="judge", **recorded)
        steps = DrillStepsOperator(task_id="steps", trigger_rule="none_failed")
        sign_off = SignOffDrillOperator(task_id="sign_off", **recorded)
        plan >> prepare >> restore >> check >> tear_down
        prepare >> alone >> tear_down
        tear_down >> record >> [checklist, judge, sign_off]
        [check, alone] >> record
        [restore, check, alone] >> steps
    return dag


_configuration = load_targets()
for _target in _configuration.targets.values():
    if _target.is_rehearsed:
        define_drill(_target, scenarios_of(_configuration, _target.name))
