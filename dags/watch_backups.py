"""
## Watch backups

Looks every five minutes at everything that a restore would need, and tells people what is wrong before they
need it: backups that did not come, that nobody has proven, that are much smaller than usual; what a
repository lacks; what would be lost now; WAL, slot, keys, space, clocks; how long a restore would take. Each
finding has a level, a sentence and a next step; [docs/monitoring.md](monitoring.md) says more about each.

**Who is told** stands under `alerts` in `targets.yaml`. What is critical is told at once, a warning once it
has lasted; both are repeated sparingly, and their end is told. The inventory remembers who heard of what.

**When:** every 5 minutes. Where one takes longer, the next begins when it has ended, and what it was late for
is left out.

### When a task is red
- **`watch`, `watch__<queue>`:** the workers of that queue could not look at all: the inventory does not
  answer, or `targets.yaml` is wrong there. What is wrong with a single target, or with one repository, is a
  finding and turns nothing red here; so is a target that could not be looked at within ten minutes.
- **`check_configuration`:** the inventory does not answer. A target file that is wrong is a finding, and
  turns nothing red.
- **`announce`:** a notifier failed; the log names it. Everybody else was told, and that one hears of
  everything once it works: see `alerts` in `targets.yaml` and its connection. Or the inventory does not
  answer.
- **`require_watched`:** one of the others is red.

**No run at all:** see that this DAG is not paused and that the scheduler runs. Nobody but the dead-man alert
of Prometheus (`include/prometheus/alerts.yml`) tells you that; use it.

To watch without Airflow: `python -m backstop watch-backups`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronTriggerTimetable

from backstop.notifications.runs import run_failed
from backstop.operators.placement import placed
from backstop.operators.watch import AnnounceOperator, WatchTargetsOperator
from backstop.operators.watch_configuration import WatchConfigurationOperator
from backstop.targets import load_targets

AT_A_TIME = 50
"""Targets that one task looks at, a few at a time."""

_by_queue: dict[str | None, list[str]] = {}
for _target in load_targets().targets.values():
    _by_queue.setdefault(_target.queue, []).append(_target.name)

with DAG(
    dag_id="watch_backups",
    dag_display_name="Watch backups",
    description="Find what a restore would miss, and tell people",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    on_failure_callback=run_failed,
    default_args=placed(None, "watch"),
    tags=["backstop", "watch"],
):
    announce = AnnounceOperator(
        task_id="announce",
        # Whatever became of the watches: what they found must be told, and what was not told before.
        trigger_rule="all_done",
        execution_timeout=timedelta(minutes=15),
    )
    # A task that fails must fail the run, and behind one that is always run it would not.
    require_watched = EmptyOperator(task_id="require_watched")
    for _queue, _names in sorted(_by_queue.items(), key=str):
        _names.sort()
        watch = WatchTargetsOperator.partial(
            task_id=f"watch__{_queue}" if _queue else "watch",
            execution_timeout=timedelta(minutes=30),
            retries=1,
            retry_delay=timedelta(seconds=30),
            map_index_template="{{ task.targets | length }} targets from {{ task.targets | first }}",
            **({"queue": _queue} if _queue else {}),
        ).expand(targets=[_names[at : at + AT_A_TIME] for at in range(0, len(_names), AT_A_TIME)])
        watch >> [announce, require_watched]
    files = WatchConfigurationOperator(
        task_id="check_configuration", retries=1, retry_delay=timedelta(seconds=30)
    )
    files >> [announce, require_watched]
    announce >> require_watched
