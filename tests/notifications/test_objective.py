"""The deadline of runs that restore something: Airflow can reckon with it, also when a task is cleared."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.notifications import objective

if TYPE_CHECKING:
    import pytest


class Tree:
    class objectives:
        rto = timedelta(minutes=90)


def encoded() -> dict[str, Any]:
    """As Airflow stores it."""
    from airflow.serialization.encoders import encode_deadline_alert

    alert = objective.files_recovery_time_alert([Tree()])
    assert alert is not None
    return dict(encode_deadline_alert(alert))


def test_clearing_a_task_adds_the_stored_interval_to_a_time() -> None:
    # Airflow's own words, in `clear_task_instances`.
    assert timedelta(seconds=encoded()["interval"]) == timedelta(minutes=90)


def test_a_new_run_has_until_the_objective() -> None:
    from airflow.serialization.decoders import decode_deadline_alert

    assert decode_deadline_alert(encoded()).interval == timedelta(minutes=90)


def test_an_airflow_that_wants_a_timedelta_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def strict(*, interval: Any, **_: Any) -> str:
        given.append(interval)
        if not isinstance(interval, timedelta):
            raise TypeError("interval must be a timedelta")
        return "alert"

    monkeypatch.setattr(objective, "DeadlineAlert", strict)

    assert objective.files_recovery_time_alert([Tree()]) == "alert"
    assert given == [5400.0, timedelta(minutes=90)]
