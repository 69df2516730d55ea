"""Waits in the triggerer until it is time to say how a recovery stands, or until it has ended."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

TERMINAL = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class RecoveryEndTrigger(BaseTrigger):  # type: ignore[misc]
    """One event, ``{"ended": bool}``: the tasks have all ended, or the moment has come before they have.

    Takes no worker's slot, and asks Airflow alone: no repository, no credentials.

    :param dag_id: and :param run_id: whose tasks. :param task_ids: which of them; mapped ones, all of theirs.
    :param until: ISO 8601.
    """

    def __init__(
        self, *, dag_id: str, run_id: str, task_ids: Sequence[str], until: str, poll_seconds: float = 5.0
    ) -> None:
        super().__init__()
        self.dag_id = dag_id
        self.run_id = run_id
        self.task_ids = list(task_ids)
        self.until = until
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "dag_id": self.dag_id,
                "run_id": self.run_id,
                "task_ids": self.task_ids,
                "until": self.until,
                "poll_seconds": self.poll_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        until = datetime.fromisoformat(self.until)
        while True:
            if await asyncio.to_thread(self._has_ended):
                yield TriggerEvent({"ended": True})
                return
            left = (until - datetime.now(timezone.utc)).total_seconds()
            if left <= 0:
                yield TriggerEvent({"ended": False})
                return
            await asyncio.sleep(min(left, self.poll_seconds))

    def _has_ended(self) -> bool:
        try:
            states = states_of(self.dag_id, self.run_id, self.task_ids)
        except Exception as error:  # Airflow's API may be away for a while; the clock goes on
            self.log.warning("Airflow does not say how %s stands: %s", self.run_id, error)
            return False
        return ended(states)


def states_of(dag_id: str, run_id: str, task_ids: Sequence[str]) -> dict[str, str | None]:
    """By task, mapped ones with their number behind them."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    found = RuntimeTaskInstance.get_task_states(dag_id=dag_id, run_ids=[run_id], task_ids=list(task_ids))
    return dict(found.get(run_id, {}))


def ended(states: Mapping[str, str | None]) -> bool:
    """Nothing of them goes on, or will without a person."""
    return bool(states) and all(state in TERMINAL for state in states.values())
