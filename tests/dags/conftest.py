"""DAG files are read as Airflow reads them, with a configuration of our own."""

from __future__ import annotations

import tests.airflow_home  # noqa: F401
