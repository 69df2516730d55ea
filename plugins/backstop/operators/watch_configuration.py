"""Look at the target files themselves: what is wrong there is watched by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from backstop.model.access import AccessRole
from backstop.notifications.runs import task_failed
from backstop.operators.base import explained
from backstop.settings.arguments import utc_now

if TYPE_CHECKING:
    from airflow.sdk import Context


class WatchConfigurationOperator(BaseOperator):  # type: ignore[misc]
    """See whether every target file can be used; a target whose file is wrong is a critical finding."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("on_failure_callback", task_failed)
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        with explained():
            return self._watch()

    def _watch(self) -> dict[str, int]:
        from backstop.commands.watch.configuration import judge_configuration, nothing_else
        from backstop.credentials import RoleCredentials
        from backstop.hooks.credentials import AirflowCredentials
        from backstop.model.finding import EVERY_TARGET
        from backstop.repository.findings import Findings
        from backstop.settings.alerts import rhythm_of
        from backstop.targets import load_targets
        from backstop.wiring import open_inventory

        configuration = load_targets()
        findings = list(judge_configuration(configuration.broken))
        for one in findings:
            self.log.error("%s", one)
        inventory = open_inventory(configuration, RoleCredentials(AirflowCredentials(), AccessRole.AUDITOR))
        if inventory is None:
            raise AirflowSkipException("targets.yaml names no inventory: findings are in this log alone")
        inventory.migrate()
        targets = [*configuration.known_targets, EVERY_TARGET]
        Findings(inventory.connection).advance(
            findings,
            targets=targets,
            now=utc_now(),
            unjudged=nothing_else(targets),
            rhythm=rhythm_of(configuration.alerts),
        )
        return {"files": len(configuration.broken), "targets": len(configuration.known_targets)}
