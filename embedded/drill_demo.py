"""The demo's drill: a disaster rehearsed by Airflow, and signed off by somebody else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedded.airflow_api import AirflowApi
    from embedded.steps import Steps
    from embedded.story import DrillStory

DRILL = "run_drill__calibrify"
ACCEPTED = "Accepted"


class DrillDemo:
    """The steps, in order; each raises when anything is not as it should be."""

    def __init__(self, steps: Steps, story: DrillStory) -> None:
        self.steps = steps
        self.story = story

    def run(self, admin: AirflowApi, approver: AirflowApi, **asked: Any) -> None:
        """:param asked: ``scenario``, ``seed`` and ``moment`` as the DAG takes them."""
        admin.wait_for_dag(DRILL)
        began = time.monotonic()
        run = admin.trigger(DRILL, asked)
        with self.steps.step("A disaster is rehearsed") as step:
            form = approver.question(run, "sign_off", timeout=600)
            self.story.seconds = time.monotonic() - began
            record = admin.result(run, "record")
            self.story.record = record
            step.result = form["subject"]
        with self.steps.step("approver signs it off") as step:
            approver.answer(run, "sign_off", ACCEPTED, {"remarks": "Rehearsed in the demo."})
            admin.require_success(run)
            self.story.signed_by = admin.result(run, "sign_off")["by"]
            step.result = record["drill_id"]
