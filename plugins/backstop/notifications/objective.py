"""The recovery time objective, watched by Airflow while a restore runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from backstop.targets import Target, Tree

log = logging.getLogger(__name__)


def recovery_time_alert(targets: Iterable[Target]) -> DeadlineAlert | None:
    """A deadline for runs that restore the database of one of these targets; None: none has an objective."""
    return _alert(one.database.objectives.rto for one in targets)


def files_recovery_time_alert(trees: Iterable[Tree]) -> DeadlineAlert | None:
    """A deadline for runs that restore one of these file trees; None: none has an objective."""
    return _alert(one.objectives.rto for one in trees)


def disaster_recovery_time_alert(targets: Iterable[Target]) -> DeadlineAlert | None:
    """A deadline for runs that bring everything of one of these targets back; None: none has an objective."""
    return _alert(
        objectives.rto
        for target in targets
        for objectives in (target.database.objectives, *(tree.objectives for tree in target.trees.values()))
    )


def _alert(objectives: Iterable[timedelta | None]) -> DeadlineAlert | None:
    """Airflow knows one interval a DAG and not what a run is about, so it is the shortest objective.

    The clock starts when the run is queued: waiting for an approval counts.
    """
    known = [one for one in objectives if one]
    if not known:
        return None
    interval = min(known)
    rest: dict[str, Any] = {
        "reference": DeadlineReference.DAGRUN_QUEUED_AT,
        "callback": AsyncCallback(recovery_time_missed, kwargs={"objective": str(interval)}),
        "name": "Recovery time objective",
    }
    try:
        # With a timedelta Airflow 3.3 cannot clear any task of such a run: the API answers 500
        # (apache/airflow#70368). Seconds, as earlier versions stored them, are read everywhere.
        return DeadlineAlert(interval=interval.total_seconds(), **rest)
    except (TypeError, ValueError):
        # A later version may want nothing but a timedelta.
        return DeadlineAlert(interval=interval, **rest)


async def recovery_time_missed(objective: str, context: Mapping[str, Any]) -> None:
    """Runs in the triggerer when the deadline passes and the restore has not ended.

    Tells whoever is told of what is critical, in a thread: other triggers go on meanwhile.
    """
    run = context.get("dag_run") or {}
    log.error(
        "Restore run %s of %s has not ended within %s, the shortest recovery time objective of its targets",
        run.get("dag_run_id"),
        (run.get("conf") or {}).get("target"),
        objective,
    )
    await asyncio.to_thread(tell_of_missed_objective, objective, run)


def tell_of_missed_objective(objective: str, run: Mapping[str, Any]) -> None:
    """Open the finding, which closes when the run has ended, and tell of it."""
    from backstop.notifications.runs import report_run

    dag_id, run_id = str(run.get("dag_id")), str(run.get("dag_run_id"))
    report_run(
        {"dag_run": run, "run_id": run_id},
        subject=f"objective of {dag_id}",
        sentence=f"{dag_id} has not ended within {objective}, the recovery time objective: {run_id}",
        hint="open the run: does it wait for an approval, or is the restore slower than was agreed?",
        facts={"until_ended": True, "dag_id": dag_id},
    )
