"""A run that failed tells people at once, whatever else is down."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from backstop.errors import SourceUnavailableError, StorageError
from backstop.model.finding import EVERY_TARGET, Level
from backstop.notifications import objective, telling
from backstop.notifications.objective import recovery_time_missed
from backstop.notifications.runs import run_failed, target_of, task_failed
from backstop.repository.findings import Findings
from tests.notifying import PIGEON, Pigeon

BACK_UP = "back_up_database__calibrify"


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    monkeypatch.setattr(Pigeon, "sent", [])
    return Pigeon.sent


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """targets.yaml with these alerts."""

    def configure(**alerts: Any) -> None:
        document = {
            "version": 1,
            "keys": {"lab": {"storage": "local", "path": "/k/ring", "signing": "/k"}},
            "repositories": {"local": {"type": "posix", "path": "/backups"}},
            "targets": {
                name: {
                    "keys": "lab",
                    "database": {"conn_id": "b", "dbname": name, "repositories": ["local"]},
                }
                for name in ("calibrify", "calibrify__old")
            },
            "inventory": {"conn_id": "inventory"},
            "alerts": {"critical": [{"notifier": PIGEON, "message": "{{ alert.message }}"}], **alerts},
        }
        (tmp_path / "targets.yaml").write_text(yaml.safe_dump(document))
        monkeypatch.setenv("BACKSTOP_TARGETS", str(tmp_path / "targets.yaml"))

    configure()
    return configure


@pytest.fixture
def findings(inventory_database, monkeypatch) -> Findings:
    found = Findings(inventory_database)
    monkeypatch.setattr(telling, "open_findings", lambda _: found)
    return found


@pytest.fixture
def without_inventory(monkeypatch):
    """Nobody answers; what Airflow remembers instead is returned."""

    def refuse(_: Any) -> None:
        raise SourceUnavailableError("the inventory does not answer")

    remembered: dict[str, Any] = {}
    monkeypatch.setattr(telling, "open_findings", refuse)
    monkeypatch.setattr(
        "airflow.sdk.Variable",
        SimpleNamespace(
            get=lambda key, default, deserialize_json: remembered.get(key, default),
            set=lambda key, value, serialize_json: remembered.__setitem__(key, value),
        ),
    )
    return remembered


def task(
    dag_id: str = BACK_UP, *, run_id: str = "scheduled__1", error: Any = None, **more: Any
) -> dict[str, Any]:
    """What a failed task's callback is handed."""
    ti = SimpleNamespace(
        dag_id=dag_id,
        task_id="back_up",
        map_index=more.pop("map_index", -1),
        get_dr_count=lambda **_: more.pop("successes", 3),
    )
    return {
        "ti": ti,
        "task": SimpleNamespace(is_teardown=False),
        "dag": DAG(dag_id=dag_id, schedule=CronTriggerTimetable("0 1 * * *", timezone="UTC")),
        "dag_run": SimpleNamespace(conf=more.pop("conf", {})),
        "run_id": run_id,
        "exception": error,
        **more,
    }


def run(dag_id: str = BACK_UP, **more: Any) -> dict[str, Any]:
    """What a failed run's callback is handed in the DAG processor."""
    context = task(dag_id, **more)
    return {key: context[key] for key in ("dag", "dag_run", "run_id")} | {"reason": "task_failure"}


@pytest.mark.integration
def test_a_failed_task_tells_its_target_first_line_next_step_and_run(configure, findings, monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    cause = StorageError("repository s3 refused the upload\nwith much more", hint="see its bucket policy")
    error = AirflowFailException(str(cause))
    error.__cause__ = cause
    task_failed(task(error=error))

    (message,) = [one.message for one in Pigeon.sent]
    assert message.splitlines()[0] == (
        "[critical] calibrify: back_up_database__calibrify failed in task back_up: "
        "repository s3 refused the upload"
    )
    assert "Next: see its bucket policy" in message
    assert message.endswith("https://airflow.example/dags/back_up_database__calibrify/runs/scheduled__1")
    (state,) = findings.open("calibrify")
    assert (state.finding.check, state.finding.subject) == ("run", BACK_UP)
    assert (state.facts["run_id"], state.facts["successes"], state.facts["by_hand"]) == (
        "scheduled__1",
        3,
        False,
    )


@pytest.mark.integration
def test_a_failed_task_shows_no_more_of_an_address_than_its_host(configure, findings):
    task_failed(task(error=ConnectionError("403 for url: https://bucket.example/key?X-Amz-Signature=s3cret")))

    assert "bucket.example" in Pigeon.sent[0].message
    assert "s3cret" not in Pigeon.sent[0].message


@pytest.mark.integration
def test_task_and_run_and_all_mapped_tasks_are_one_message(configure, findings):
    for index in range(4):
        task_failed(task(error=ValueError("no"), map_index=index))
    run_failed(run())

    assert len(Pigeon.sent) == 1
    assert "[3]: no" in findings.open()[0].finding.sentence


@pytest.mark.integration
def test_a_run_whose_worker_was_killed_is_told_by_the_dags_own_callback(configure, findings):
    run_failed(run())
    assert "failed (task failure): scheduled__1" in Pigeon.sent[0].message

    # It is the same finding when the next run fails with more to say.
    task_failed(task(run_id="scheduled__2", error=ValueError("no")))
    assert len(Pigeon.sent) == 1
    assert "task back_up: no" in findings.open()[0].finding.sentence


@pytest.mark.integration
def test_a_consent_that_was_refused_is_no_failure(configure, findings):
    from datetime import timedelta

    from airflow.providers.standard.operators.hitl import ApprovalOperator

    approve = ApprovalOperator(task_id="approve", subject="?", response_timeout=timedelta(hours=1))
    run_failed({**run(), "task": approve})

    assert (Pigeon.sent, findings.open()) == ([], ())


@pytest.mark.integration
def test_a_teardown_that_leaves_the_run_as_it_is_says_nothing(configure, findings):
    swept = SimpleNamespace(is_teardown=True, on_failure_fail_dagrun=False)
    task_failed({**task(error=ValueError("no")), "task": swept})

    assert Pigeon.sent == []


@pytest.mark.integration
def test_a_broken_notifier_is_an_error_keeps_nobody_else_from_hearing_and_hears_later(configure, findings):
    from datetime import datetime, timezone

    from backstop.commands.announce import announce
    from backstop.model.finding_state import Rhythm
    from backstop.notifications.channels import channels_of
    from backstop.targets import load_targets

    configure(critical=[{"notifier": "tests.notifying.Lost"}, {"notifier": PIGEON}])
    with pytest.raises(AirflowException, match=r"Lost .*did not come back"):
        task_failed(task(error=ValueError("no")))
    assert len(Pigeon.sent) == 1

    configure(critical=[{"notifier": PIGEON}, {"notifier": PIGEON, "subject": "mended"}])
    channels = channels_of(load_targets().alerts, {})
    announce(findings, channels, now=datetime.now(timezone.utc), rhythm=Rhythm())
    assert [one.subject for one in Pigeon.sent] == ["", "mended"]


def test_without_an_inventory_that_answers_people_are_told_all_the_same_and_not_every_time(
    configure, without_inventory
):
    task_failed(task("watch_backups", error=SourceUnavailableError("the inventory does not answer")))
    task_failed(task("watch_backups", error=SourceUnavailableError("the inventory does not answer")))
    run_failed(run("watch_backups"))

    assert ["watch_backups failed" in one.message for one in Pigeon.sent] == [True]
    assert list(without_inventory[telling.UNRECORDED]) == ["*/run/watch_backups"]


def test_without_an_inventory_a_broken_notifier_keeps_nobody_else_from_hearing(configure, without_inventory):
    configure(critical=[{"notifier": "tests.notifying.Lost"}, {"notifier": PIGEON}])

    with pytest.raises(AirflowException, match="did not come back"):
        task_failed(task(error=ValueError("no")))
    assert len(Pigeon.sent) == 1


def test_a_run_is_about_the_target_it_was_told_or_that_of_its_dag_or_none(configure):
    def of(dag_id: str, **conf: Any) -> str:
        return target_of(task(dag_id, conf=conf))

    assert of(BACK_UP) == "calibrify"
    assert of("back_up_files__calibrify__old__media") == "calibrify__old"
    assert of("restore_database", target="calibrify") == "calibrify"
    assert of("restore_database__calibrify", target="calibrify__old") == "calibrify__old"
    assert of("restore_database", target="nobody") == EVERY_TARGET
    assert of("rebuild_inventory__dmz") == EVERY_TARGET


@pytest.mark.integration
def test_repositories_out_of_step_are_a_warning_that_waits(configure, findings):
    task_failed(task("sync_repositories__calibrify", error=ValueError("no")))

    assert findings.open()[0].finding.level is Level.WARNING
    assert Pigeon.sent == []


MISSED = {"dag_id": "restore_database", "dag_run_id": "manual__1", "conf": {"target": "calibrify"}}


@pytest.mark.integration
def test_a_restore_that_takes_longer_than_the_objective_tells_the_notifiers(configure, findings):
    asyncio.run(recovery_time_missed("1:00:00", {"dag_run": MISSED}))

    assert "restore_database has not ended within 1:00:00" in Pigeon.sent[0].message
    (state,) = findings.open("calibrify")
    assert state.facts["until_ended"] is True
    assert state.finding.subject == "objective of restore_database"


def test_telling_of_a_missed_objective_does_not_hold_up_the_triggers_loop(monkeypatch):
    released = asyncio.Event()

    async def both() -> None:
        loop = asyncio.get_running_loop()
        # It returns once something else has run in the loop: never, if it blocks it.
        monkeypatch.setattr(
            objective,
            "tell_of_missed_objective",
            lambda *_: asyncio.run_coroutine_threadsafe(released.wait(), loop).result(30),
        )
        telling = asyncio.create_task(recovery_time_missed("1:00:00", {"dag_run": MISSED}))
        await asyncio.sleep(0)
        released.set()
        await telling

    asyncio.run(both())
    assert released.is_set()
