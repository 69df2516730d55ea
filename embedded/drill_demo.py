"""``python -m embedded drill``: after ``make demo``, a disaster is rehearsed by Airflow and signed off."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from embedded.airflow_api import AirflowApi
    from embedded.steps import Steps

DRILL = "run_drill__calibrify"
ACCEPTED = "Accepted"


@dataclass
class DrillDemo:
    """The steps, in order; each raises when anything is not as it should be.

    :param record: of the drill, as its task returned it; :param seconds: until it could be signed off.
    """

    steps: Steps
    record: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def run(self, admin: AirflowApi, approver: AirflowApi, **asked: Any) -> None:
        """:param asked: ``scenario``, ``seed`` and ``moment`` as the DAG takes them."""
        admin.wait_for_dag(DRILL)
        began = time.monotonic()
        run = admin.trigger(DRILL, asked)
        with self.steps.step("A disaster is rehearsed") as step:
            step.result = approver.question(run, "sign_off", timeout=600)["subject"]
            self.seconds = time.monotonic() - began
            self.record = admin.result(run, "record")
        with self.steps.step("approver signs it off") as step:
            approver.answer(run, "sign_off", ACCEPTED, {"remarks": "Rehearsed in the demo."})
            admin.require_success(run)
            step.result = str(self.record["drill_id"])
