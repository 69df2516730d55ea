"""What a request's scope tells of the Airflow that we are mounted in."""

from __future__ import annotations

AIRFLOW = "backstop.airflow"
"""Under this name it holds Airflow's own application."""
