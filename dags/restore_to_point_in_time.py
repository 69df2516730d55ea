"""
## Restore to a point in time

Brings the whole PostgreSQL server back as it was at any moment since its first base backup: just before the
mistake, or at the last second that a repository has. Everything happens in a new data directory beside the
live one; the live server is not touched until its replacement has been recovered and validated.

### How
1. Press *Trigger*, choose the target and the **Point**: `latest`; a time with its zone
   (`2026-11-23T11:59:00Z`); `lsn:0/3000060`; `name:<restore point>`; `xid:<transaction id>`; `immediate`.
   `python -m backstop recovery-windows` shows what can be reached.
2. `plan` says which base backup and which WAL lead there, or why none do and what is nearest. Nothing is
   fetched before that.
3. With **cut over**, `approve` waits under *Required Actions*; whoever asked cannot approve.
4. `recover_beside` fetches, replays and validates. The live server does not notice.
5. `cut_over` is the downtime: live server stopped, data directories exchanged, server started and probed.
   The former directory is kept. Without **cut over** the recovered one is left beside, stopped, and its name
   is in the result of `recover_beside`; a server started on it archives nothing and listens on no network.

After a cut over the server writes a new timeline: take a full base backup at once
(`take_base_backup__<target>`); until it is published the server is unprotected.

### When a task is red
The live server is as it was unless `cut_over` itself is red.

- **`plan`:** no way leads there; the log names the missing segment, the gap or the timeline, or says that
  there is no such restore point or transaction, and names the nearest possible point.
- **`approve`:** rejected, unanswered, or answered by whoever asked. Trigger again.
- **`recover_beside`:** it stopped before its end, ended elsewhere, or a query was answered wrongly. Nothing
  was put in place and nothing is left behind. WAL that one repository lacks has been sought in the others.
- **`check_cut_over`:** the directories cannot be exchanged as they are (another file system, another owner,
  a link). Nothing was stopped. Mend what is named, then clear this task.
- **`cut_over`:** the log says which data is live. Either way `start_cluster` has seen to it that the server
  runs on a whole data directory.

**If Airflow is what died:** `python -m backstop restore-to-point-in-time --target <target>
--to <time> --cut-over`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.objective import recovery_time_alert
from backstop.notifications.runs import run_failed
from backstop.operators.base import result_of
from backstop.operators.choice import ANY_REPOSITORY
from backstop.operators.placement import placed
from backstop.operators.recovery import (
    MODES,
    ApproveRecoveryOperator,
    CheckCutOverOperator,
    CutOverOperator,
    PlanRecoveryOperator,
    RecoverBesideOperator,
    StartClusterOperator,
    StopBesideRecoveryOperator,
)
from backstop.operators.roles import roles_for
from backstop.targets import Target, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "{{ params.target }}"


def define_recovery(queue: str | None, targets: Sequence[Target]) -> DAG:
    """One DAG for the targets whose servers the same workers can replace."""
    names = sorted(target.name for target in targets)
    with DAG(
        dag_id=f"restore_to_point_in_time__{queue}" if queue else "restore_to_point_in_time",
        dag_display_name=f"Restore to a point in time ({queue})" if queue else "Restore to a point in time",
        description="Plan, approve, recover beside, validate, cut over",
        doc_md=__doc__,
        schedule=None,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "target": Param(names[0], "What to recover.", title="Target", type="string", enum=names),
            "point": Param(
                "latest",
                "latest, a time with its zone, lsn:0/3000060, name:<restore point>, xid:<transaction id>, "
                "immediate",
                title="Point",
                type="string",
            ),
            "mode": Param(
                "beside", title="What to do", type="string", enum=list(MODES), values_display=MODES
            ),
            "timeline": Param(
                "latest",
                "A number; latest; current: that of the base backup.",
                title="Timeline",
                type="string",
            ),
            "base": Param("", "Empty: the best one.", title="Base backup", type=["string", "null"]),
            "repository": Param(
                ANY_REPOSITORY,
                "Name of a repository; any: the first that leads there.",
                title="Read it from",
                type="string",
            ),
        },
        deadline=recovery_time_alert(targets),
        default_args=placed(None, "restore", queue=queue),
        access_control=roles_for("restore", targets),
        tags=["backstop", "restore", "WAL", *names],
    ) as dag:
        plan = PlanRecoveryOperator(
            task_id="plan",
            target=TARGET,
            point="{{ params.point }}",
            timeline="{{ params.timeline }}",
            base="{{ params.base or '' }}",
            mode="{{ params.mode }}",
            repository="{{ params.repository }}",
        )
        approval = ApproveRecoveryOperator(
            task_id="approve", plan=result_of("plan"), choice=result_of("plan")
        )
        planned = {
            "target": TARGET,
            "plan": result_of("plan"),
            "approval": result_of("approve"),
            "swapped": result_of("cut_over"),
        }
        recovered = RecoverBesideOperator(task_id="recover_beside", **planned)
        beside_only = StopBesideRecoveryOperator(
            task_id="stop_if_beside", target=TARGET, plan=result_of("plan")
        )
        validated = {**planned, "recovered": result_of("recover_beside")}
        check = CheckCutOverOperator(task_id="check_cut_over", **validated).as_setup()
        exchanged = CutOverOperator(task_id="cut_over", **validated)
        started = StartClusterOperator(
            task_id="start_cluster",
            target=TARGET,
            checked=result_of("check_cut_over"),
            outcome=result_of("cut_over"),
            retries=5,
            retry_delay=timedelta(seconds=5),
        ).as_teardown(setups=check)

        plan >> approval >> recovered >> beside_only >> check >> exchanged >> started
    return dag


_targets = [one for one in load_targets().targets.values() if one.cluster and one.cluster.recovery]
for _queue in sorted({one.queue for one in _targets}, key=str):
    define_recovery(_queue, [one for one in _targets if one.queue == _queue])
