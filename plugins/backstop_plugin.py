"""Makes Backstop known to Airflow; the only module here that Airflow loads as a plugin."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from backstop.listeners import run_note


class BackstopPlugin(AirflowPlugin):  # type: ignore[misc]
    name = "backstop"
    listeners = [run_note]  # noqa: RUF012 Airflow declares it so
