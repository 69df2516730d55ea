"""A task that somebody marked as successful: its step was left out, and the incident's journal says so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from backstop.triggers.recovery_end import states_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from backstop.commands.disaster.engine import Disaster

log = logging.getLogger(__name__)

_DONE = ("passed", "skipped", "running")


def leave_out_marked(disaster: Disaster, context: Context, task_ids: Sequence[str]) -> None:
    """Of these tasks, those that are green without their step having been done."""
    ti = context["ti"]
    states = states_of(ti.dag_id, ti.run_id, list(task_ids))
    places = tasks_of(disaster)
    for step in disaster.status()["steps"]:
        task = places.get(step["step"])
        if task is not None and states.get(task) == "success" and step["state"] not in _DONE:
            because = f"its task {task} was marked as successful in Airflow, run {ti.run_id}"
            log.warning("%s is left out: %s", step["step"], because)
            disaster.skip(step["step"], by="somebody in Airflow", because=because)


def tasks_of(disaster: Disaster) -> dict[str, str]:
    """By step, the task of this DAG that does it, as Airflow names mapped ones among states."""
    order = [*disaster.plan.get("order", ())]
    recovered = {f"recover:{component}": f"recover_{number}" for number, component in enumerate(order)}
    checked = {f"validate:{item}": f"validate_{number}" for number, item in enumerate(ITEMS)}
    return {
        "infrastructure": "infrastructure",
        "tell:start": "tell_start",
        "tell:end": "tell_end",
        **recovered,
        **checked,
    }


ITEMS = ("functionality", "consistency", "integrations")
"""Of the validation, each a task."""
