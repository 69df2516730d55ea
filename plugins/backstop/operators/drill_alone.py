"""The drill that supposes Airflow is lost: by the command line alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.model.access import AccessRole
from backstop.model.canonical import format_time
from backstop.operators.drill import DrillOperator, by_command_line

if TYPE_CHECKING:
    from airflow.sdk import Context


class DrillWithoutAirflowOperator(DrillOperator):
    """Have the command line do it all, in a process that can neither import Airflow nor reach the inventory.

    It plans for itself, from the moment and the seed alone. Skipped in every other scenario. Returns the
    record that it printed.
    """

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.hooks.command_line import credentials_folder, run_command_line
        from backstop.hooks.credentials import AirflowCredentials
        from backstop.hooks.target import TargetHook
        from backstop.settings.connections import connections_for_recovery

        plan, hook = self.planned(), TargetHook(self.target, AccessRole.VERIFIER)
        if not by_command_line(plan):
            raise AirflowSkipException("Airflow is not supposed to be lost")
        arguments = ["run-drill", "--target", self.target, "--scenario", str(plan.scenario)]
        arguments += ["--seed", plan.seed, "--moment", format_time(plan.disaster_at)]
        arguments += ["--who", plan.requested_by]
        answer = run_command_line(
            arguments,
            credentials=AirflowCredentials(),
            conn_ids=connections_for_recovery(hook.configuration, self.target),
            folder=credentials_folder(plan.drill_id),
            say=lambda line: self.log.info("%s", line),
        )
        return dict(answer["drill"])
