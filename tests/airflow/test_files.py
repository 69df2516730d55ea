"""A change of a file becomes one backup, through the triggerer and the DAGs of a real Airflow."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from embedded.airflow_api import ENDED, AirflowApi
from embedded.files_demo import CONFIG, LOGGING, back_up_dag
from embedded.proving import wait_for_proofs

if TYPE_CHECKING:
    from embedded.airflow_api import Run
    from embedded.stack import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]

DAG = back_up_dag(CONFIG)


@pytest.fixture(scope="session")
def admin(running_stack: Stack) -> AirflowApi:
    server = running_stack.airflow()
    admin = AirflowApi(server.url, sign_in=lambda: server.token("admin"))
    admin.wait_for_dag(DAG)
    return admin


def successes(admin: AirflowApi) -> list[Run]:
    return [run for run in admin.runs(DAG) if admin.state(run) == "success"]


def settled(admin: AirflowApi) -> list[Run]:
    """The runs that succeeded, once what other tests did to these files is in a backup: nothing of it is
    noticed late, and taken for what this test does.
    """
    admin.require_success(admin.trigger(DAG))
    # What was noticed before that backup was published begins a run of its own only behind this one.
    time.sleep(15)
    return wait_for_quiet(admin, more_than=0, seconds=180)


def wait_for_quiet(admin: AirflowApi, *, more_than: int, seconds: float) -> list[Run]:
    """The runs that succeeded, when there are more than so many and none is under way."""
    deadline = time.monotonic() + seconds
    while True:
        runs = admin.runs(DAG)
        states = [admin.state(run) for run in runs]
        if states.count("success") > more_than and all(state in ENDED for state in states):
            return [run for run, state in zip(runs, states, strict=True) if state == "success"]
        assert time.monotonic() < deadline, dict(zip(map(str, runs), states, strict=True))
        time.sleep(0.5)


@pytest.fixture(scope="session")
def watched(admin: AirflowApi, running_stack: Stack) -> Stack:
    """The sample's configuration is there and backed up, because the triggerer found it."""
    wait_for_quiet(admin, more_than=0, seconds=180)
    return running_stack


def test_an_edit_is_backed_up_once_within_a_minute_and_the_note_says_what_changed(
    watched: Stack, admin: AirflowApi
) -> None:
    before = settled(admin)
    file = watched.home.host / LOGGING

    began = datetime.now(timezone.utc)
    for number in range(20):
        with file.open("a") as settings:  # other tests ask whether Calibrify would start with it
            settings.write(f"# edit {number}\n")
    after = wait_for_quiet(admin, more_than=len(before), seconds=180)

    [run] = [one for one in after if one not in before]
    found = admin.get(run.path)
    assert found["run_type"] == "asset_triggered"
    assert f"changed {file}" in found["note"]
    report = admin.result(run, "back_up")
    assert report["changed_files"] == 1
    finished = datetime.fromisoformat(report["finished_at"].replace("Z", "+00:00"))
    assert (finished - began).total_seconds() < 60
    proofs = wait_for_proofs(admin, f"verify_backups__{report['target']}", report["label"], ["local", "s3"])
    assert set(proofs) == {"local", "s3"}
    time.sleep(15)
    assert len(successes(admin)) == len(after)


def test_touching_a_file_starts_nothing(watched: Stack, admin: AirflowApi) -> None:
    # A backup under way of an earlier change would be overtaken by a look at the tree.
    settled(admin)
    before = admin.runs(DAG)
    (watched.home.host / LOGGING).touch()
    time.sleep(20)

    assert [admin.get(run.path)["note"] for run in admin.runs(DAG) if run not in before] == []
