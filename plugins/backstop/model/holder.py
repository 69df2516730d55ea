"""How leases and pins name an Airflow that holds them, to others who may belong to another one."""

from __future__ import annotations

import re

NOWHERE = "an address that [api] base_url does not say"
_AIRFLOW = re.compile(r"Airflow at (?P<address>\S+): DAG ")


def airflow_holder(address: str | None, *, dag_id: str, run_id: str, task_id: str) -> str:
    """:param address: where people find it, None: not known."""
    return f"Airflow at {address or NOWHERE}: DAG {dag_id}, run {run_id}, task {task_id}"


def airflow_of(holder: str) -> str | None:
    """The address; None: it is none, or does not say where it is."""
    named = _AIRFLOW.match(holder)
    return named["address"] if named else None
