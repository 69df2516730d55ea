from __future__ import annotations

import logging

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backstop.errors import ConfigurationError, LeaseHeldError, StorageUnavailableError
from backstop.operators.base import explained, result_of
from backstop.operators.progress import LoggedProgress


@pytest.mark.parametrize("error", [LeaseHeldError("busy"), StorageUnavailableError("503"), ConnectionError()])
def test_what_time_heals_is_left_to_the_retries_of_the_task(error):
    with pytest.raises(type(error)), explained():
        raise error


def test_what_time_does_not_heal_fails_at_once_with_the_next_step():
    with pytest.raises(AirflowFailException, match="no key ring — copy it here"), explained():
        raise ConfigurationError("no key ring", hint="copy it here")


def test_a_programming_error_is_not_tried_again():
    with pytest.raises(AirflowFailException, match="unexpected KeyError: 'label'"), explained():
        raise KeyError("label")


def test_a_skip_stays_a_skip():
    with pytest.raises(AirflowSkipException), explained():
        raise AirflowSkipException("nothing to do")


def test_results_travel_as_json_whatever_is_in_them():
    import json

    from jinja2.sandbox import SandboxedEnvironment

    class Instance:
        def xcom_pull(self, *, task_ids):
            return {"plan_restore": {"old": "a'b\"c <&> {{ 1/0 }} ü", "n": [1, None]}}.get(task_ids)

    render = SandboxedEnvironment().from_string
    assert json.loads(render(result_of("plan_restore")).render(ti=Instance())) == {
        "old": "a'b\"c <&> {{ 1/0 }} ü",
        "n": [1, None],
    }
    assert json.loads(render(result_of("missing")).render(ti=Instance())) is None


def test_progress_is_logged_by_phase_and_not_for_every_block(caplog):
    now = [0.0]
    progress = LoggedProgress(logging.getLogger("test"), clock=lambda: now[0])
    with caplog.at_level(logging.INFO):
        progress.phase("dump", total_bytes=100_000_000)
        for _ in range(100):
            now[0] += 0.25
            progress.advance(1_000_000)
        progress.phase("upload")
        progress.finish()

    assert [record.message.split(" ")[0] for record in caplog.records] == [
        "dump", "dump:", "dump:", "dump", "upload", "upload",
    ]  # fmt: skip
    assert caplog.records[1].message == "dump: 40.0 MB of 100.0 MB, 4 MB/s, some 15 s left"
    assert caplog.records[3].message == "dump     took 25.0 s (100.0 MB of 100.0 MB, 4 MB/s)"
    assert caplog.records[5].message.startswith("upload   took 0.0 s")
