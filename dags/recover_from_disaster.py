"""
## Recover from a disaster

Something is really gone: the server, the disk, the files, or what is in them. This run looks at what is
lost and what every repository could bring back, asks which way to go, tells those who wait, and brings
everything back, one component after the other, each restored beside what is live and validated before it
takes its place.

**The clock of the objectives runs from the declaration** (or from *Noticed at*), not from this run. Waiting
for people is recorded apart.

### How
1. Press *Trigger*, choose the target, and say **what happened** in a few words: they are what stakeholders
   read. Say **which components** are lost where it cannot be seen from outside (wrong data, ransomware),
   and for a mistake or an attack a **Point** just before it. `declare` starts the clock.
2. `assess` looks at every component and every repository, and changes nothing.
3. `approve` waits under *Required Actions* with what is lost and a table of options: what each brings back,
   as of when, what is lost with it, how long it takes. Choose one and press *Recover*. Whoever asked
   cannot; where `disaster.break_glass` allows it, they can by saying why, which is recorded, and told.
4. `tell_start`, `tell_progress` and `tell_end` tell stakeholders and the status page, beside the recovery:
   it does not wait for them. Each message is sent once, whatever is cleared.
5. `infrastructure` runs the target's own commands, or checks that what data is restored to is there.
6. `recover` is one task a component, in order, one at a time. One that fails does not hold up those after
   it.
7. `validate` asks the target's own probes: functionality, consistency, integrations.
8. `record` puts the journal, the times and what was lost into the evidence, and closes the incident.

### When a task is red
What is live is whole: as it was, or as it shall be. Nothing is left half swapped.

- **`declare`:** the target, a component or a time is wrong; or another incident of the target is open. Go
  on with that one (**Incident**), or close it: `python -m backstop recover-from-disaster --target <target>
  --close`.
- **`assess`:** no repository answers. Mend one, then clear this task.
- **`approve`:** cancelled, unanswered, or answered by whoever asked. Clear this task to be asked again: the
  incident stays open and its clock goes on.
- **`list_components`:** `approve` was marked as successful, or its answer is a day old. Clear `approve`.
- **`infrastructure`:** a command failed; its output is in the log. Mend it, then clear this task.
- **`recover`:** the log says what stopped it; the live component was not replaced, or was put back. Mend
  what is named, then clear this task. Or choose another option: clear `approve`. A tree on another machine
  (`queue`) is restored by `restore_files__<queue>`.
- **`validate`:** a probe was not answered as expected. Mend it and clear this task, or choose another
  option.
- **`tell_start`, `tell_progress`, `tell_end`:** somebody could not be told; the log and the journal say
  who. The recovery goes on, and its run may end green. Clear it to tell those, and only those, again.
- **`record`:** the recovery is not over, and the incident stays open: mend what is red above and clear
  that.

### To do a step again, or leave it out
- **Clear** a task that is red: its step is done again. Clearing `assess`, `infrastructure` or `validate`
  does them again also when they were green. Clearing a green `recover` brings nothing back a second time,
  because what was written since would be lost. To do that all the same, choose another option (clear
  `approve`), or trigger a run with this **Incident** and name the component under **Once more**.
- **Mark a task as successful** to leave its step out. The journal then says that it was left out, in which
  run; `approve` cannot be left out: nothing is recovered without it.

The journal lies in the repositories, so what this run has begun can be finished without Airflow, and the
other way round: trigger a run and name the **Incident**.

**If Airflow is what died:** `python -m backstop recover-from-disaster --target <target>`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.objective import disaster_recovery_time_alert
from backstop.notifications.runs import run_failed
from backstop.operators.base import result_of
from backstop.operators.disaster import (
    AssessDisasterOperator,
    ListComponentsOperator,
    PrepareInfrastructureOperator,
    RecordIncidentOperator,
    RecoverComponentOperator,
    ValidateRecoveryOperator,
)
from backstop.operators.disaster_approval import ChooseRecoveryOperator
from backstop.operators.disaster_declaration import LATEST, DeclareDisasterOperator
from backstop.operators.disaster_left_out import ITEMS
from backstop.operators.disaster_telling import TELL_PROGRESS, TellOperator, TellProgressOperator
from backstop.operators.placement import placed
from backstop.operators.roles import roles_for
from backstop.targets import Target, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence


def define_disaster_recovery(queue: str | None, targets: Sequence[Target]) -> DAG:
    """One DAG for the targets that the same workers can bring back."""
    names = sorted(target.name for target in targets)
    components = ["database", *sorted({f"tree:{tree}" for target in targets for tree in target.trees})]
    with DAG(
        dag_id=f"recover_from_disaster__{queue}" if queue else "recover_from_disaster",
        dag_display_name=f"Recover from a disaster ({queue})" if queue else "Recover from a disaster",
        description="Assess, approve a way back, communicate, recover in order, validate, record",
        doc_md=__doc__,
        schedule=None,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "target": Param(
                names[0], "What is lost, or part of it.", title="Target", type="string", enum=names
            ),
            "what": Param(
                "",
                "In a few words; stakeholders read them: the disk of db1 died.",
                title="What happened",
                type="string",
                minLength=1,
            ),
            "noticed_at": Param(
                "",
                "A time with its zone, 2026-11-26T14:20:00Z: the clock runs from there. Empty: now.",
                title="Noticed at",
                type=["string", "null"],
            ),
            "components": Param(
                [],
                "That are lost although they look whole; what is seen to be damaged is found.",
                title="Suspected",
                type=["array", "null"],
                items={"type": "string", "enum": components},
                examples=components,
            ),
            "point": Param(
                LATEST,
                "latest; or a time just before the mistake or the attack: nothing later is trusted.",
                title="Point",
                type="string",
            ),
            "incident": Param(
                "",
                "An open one to go on with: incident-20261126T142000Z-1f3a. Empty: declare a new one.",
                title="Incident",
                type=["string", "null"],
            ),
            "redo": Param(
                [],
                "Of that incident: components to bring back once more although they are back.",
                title="Once more",
                type=["array", "null"],
                items={"type": "string"},
                examples=[component.replace("database", "base") for component in components],
            ),
        },
        deadline=disaster_recovery_time_alert(targets),
        default_args=placed(None, "restore", queue=queue),
        access_control=roles_for("disaster", targets),
        tags=["backstop", "disaster", *names],
    ) as dag:
        of_target = {"target": "{{ params.target }}"}
        declare = DeclareDisasterOperator(
            task_id="declare",
            **of_target,
            what="{{ params.what }}",
            noticed_at="{{ params.noticed_at or '' }}",
            components="{{ (params.components or []) | tojson }}",
            point="{{ params.point }}",
            incident_id="{{ params.incident or '' }}",
        )
        incident = {**of_target, "incident": result_of("declare")}
        assess = AssessDisasterOperator(task_id="assess", **incident)
        approve = ChooseRecoveryOperator(task_id="approve", **incident)

        again = {"retries": 2, "retry_delay": timedelta(minutes=1)}
        tell_start = TellOperator(task_id="tell_start", moment="start", **incident, **again)
        tell_progress = TellProgressOperator(task_id=TELL_PROGRESS, **incident, **again)
        tell_end = TellOperator(task_id="tell_end", moment="end", **incident, **again)

        approved = {**incident, "approval": result_of("approve")}
        components_in_order = ListComponentsOperator(task_id="list_components", **approved)
        infrastructure = PrepareInfrastructureOperator(task_id="infrastructure", **approved)
        recover = RecoverComponentOperator.partial(
            task_id="recover",
            **approved,
            redo="{{ (params.redo or []) | tojson }}",
            # In order: Airflow starts the lowest number first, and the next when that has ended.
            max_active_tis_per_dagrun=1,
            map_index_template="{{ task.component }}",
        ).expand_kwargs(components_in_order.output)
        validate = ValidateRecoveryOperator.partial(
            task_id="validate", **incident, map_index_template="{{ task.item }}"
        ).expand(item=list(ITEMS))
        # Whatever became of the messages, and also to say that it is not over.
        record = RecordIncidentOperator(task_id="record", **incident, trigger_rule="all_done")

        declare >> assess >> approve >> components_in_order >> infrastructure >> recover >> validate
        approve >> [tell_start, tell_progress]
        validate >> tell_end
        [validate, tell_start, tell_progress, tell_end] >> record
    return dag


_targets = list(load_targets().targets.values())
for _queue in sorted({one.queue for one in _targets}, key=str):
    define_disaster_recovery(_queue, [one for one in _targets if one.queue == _queue])
