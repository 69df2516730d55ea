"""The recovery time objective, watched by Airflow while a restore runs."""

from __future__ import annotations

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


def _alert(objectives: Iterable[timedelta | None]) -> DeadlineAlert | None:
    """Airflow knows one interval a DAG and not what a run is about, so it is the shortest objective.

    The clock starts when the run is queued: waiting for an approval counts.
    """
    known = [one for one in objectives if one]
    if not known:
        return None
    interval = min(known)
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=interval,
        callback=AsyncCallback(recovery_time_missed, kwargs={"objective": str(interval)}),
        name="Recovery time objective",
    )


async def recovery_time_missed(objective: str, context: Mapping[str, Any]) -> None:
    """Runs in the triggerer when the deadline passes and the restore has not ended."""
    run = context.get("dag_run") or {}
    log.error(
        "Restore run %s of %s has not ended within %s, the shortest recovery time objective of its targets",
        run.get("dag_run_id"),
        (run.get("conf") or {}).get("target"),
        objective,
    )
