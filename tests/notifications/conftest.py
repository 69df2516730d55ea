"""An Airflow configuration of our own."""

from __future__ import annotations

import tests.airflow_home  # noqa: F401
