"""Waits for the proofs that a published backup wakes: nobody triggers a verification in the demo."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from embedded.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from embedded.airflow_api import AirflowApi, Run


def wait_for_proofs(
    admin: AirflowApi, dag_id: str, label: str, repositories: Iterable[str], *, timeout: float = 300.0
) -> dict[str, dict[str, Any]]:
    """What the verification found out about one backup, by repository.

    :raises StackError: it failed, or has not come to this backup after ``timeout`` seconds.
    """
    wanted, found = set(repositories), dict[str, dict[str, Any]]()
    deadline = time.monotonic() + timeout
    while found.keys() != wanted:
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(wanted - found.keys()))
            raise StackError(
                f"{label} has not been proven in {missing} after {timeout:.0f} s",
                hint=f"look at DAG {dag_id} in Airflow",
            )
        time.sleep(1)
        for run in admin.runs(dag_id)[:3]:
            found |= _proofs(admin, run, label)
    return found


def _proofs(admin: AirflowApi, run: Run, label: str) -> dict[str, dict[str, Any]]:
    found = {
        result["repository"]: result for result in admin.results(run, "verify") if result["label"] == label
    }
    if admin.state(run) == "failed":
        raise StackError("the verification failed: " + admin.why(run))
    return found
