"""What says that a message of progress is due, or that there will be none any more."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

import tests.airflow_home  # noqa: F401
from backstop.triggers import recovery_end
from backstop.triggers.recovery_end import RecoveryEndTrigger, ended


def trigger(*, until: timedelta) -> RecoveryEndTrigger:
    return RecoveryEndTrigger(
        dag_id="recover_from_disaster",
        run_id="manual__1",
        task_ids=("recover", "validate"),
        until=(datetime.now(timezone.utc) + until).isoformat(),
        poll_seconds=0.01,
    )


def event_of(one: RecoveryEndTrigger) -> dict[str, bool]:
    async def first() -> dict[str, bool]:
        async for event in one.run():
            return event.payload
        raise AssertionError("no event")

    return asyncio.run(asyncio.wait_for(first(), 60))


@pytest.fixture
def states(monkeypatch):
    """What Airflow says, one answer after the other, the last again and again; an error is raised."""
    answers = []

    def answer(*_):
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(recovery_end, "states_of", answer)
    return answers


def test_it_wakes_when_the_last_task_of_the_recovery_has_ended(states):
    states += [
        {"recover_0": "running", "validate": None},
        {"recover_0": "failed", "recover_1": "queued", "validate": None},
        {"recover_0": "failed", "recover_1": "success", "validate": "upstream_failed"},
    ]

    assert event_of(trigger(until=timedelta(hours=1))) == {"ended": True}


def test_it_wakes_when_a_message_is_due(states):
    states += [{"recover_0": "running"}]

    assert event_of(trigger(until=timedelta(0))) == {"ended": False}


def test_an_airflow_that_does_not_answer_for_a_while_is_asked_again(states):
    states += [ConnectionError("the API server is away"), {"validate": "success"}]

    assert event_of(trigger(until=timedelta(hours=1))) == {"ended": True}


def test_tasks_that_nobody_knows_have_not_ended():
    assert not ended({})


def test_it_is_the_same_after_a_triggerer_has_taken_it_over():
    one = trigger(until=timedelta(minutes=1))
    path, arguments = one.serialize()

    assert path == "backstop.triggers.recovery_end.RecoveryEndTrigger"
    assert RecoveryEndTrigger(**arguments).serialize() == (path, arguments)
