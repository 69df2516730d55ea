"""Targets from a directory of files: what becomes of them in Airflow, and of a file that is wrong."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from croniter import croniter

from benchmarks.fleet_files import write_fleet
from tests.dags.test_dags import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.dag_processing.dagbag import DagBag

DAY = datetime(2026, 11, 23, tzinfo=timezone.utc)  # a Monday


def dags_of(directory: Path, *files: str) -> DagBag:
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSTOP_TARGETS", str(directory))
        bag = DagBag(CHECKOUT / "dags", collect_dags=False)
        for file in files or [path.name for path in sorted((CHECKOUT / "dags").glob("*.py"))]:
            bag.process_file(str(CHECKOUT / "dags" / file), only_if_updated=False, safe_mode=True)
        return bag


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> DagBag:
    """Twelve targets, all of them with all that there is; read once."""
    bag = dags_of(write_fleet(tmp_path_factory.mktemp("fleet"), 12))
    assert bag.import_errors == {}
    return bag


def crons_of(dag) -> list[str]:
    timetable = dag.timetable
    timetables = getattr(timetable, "timetables", None) or [getattr(timetable, "timetable", timetable)]
    return [one.expression for one in timetables if hasattr(one, "expression")]


def runs_due_at_once(bag: DagBag, *, days: int = 7) -> int:
    """The most runs that are due in one minute of a week, by the clock alone; the watch is one more."""
    due: Counter[datetime] = Counter()
    for dag in bag.dags.values():
        for cron in crons_of(dag) if "__" in dag.dag_id else ():
            times, end = croniter(cron, DAY - timedelta(seconds=1)), DAY + timedelta(days=days)
            while (at := times.get_next(datetime)) < end:
                due[at] += 1
    return max(due.values())


def test_only_procedures_that_a_target_has_become_dags(tmp_path):
    directory = write_fleet(tmp_path, 2)
    (directory / "bare.yaml").write_text(
        "targets: {bare: {cluster: null, drill: null,"
        " database: {conn_id: c, dbname: d, repositories: [local], retention: {s3: null}}}}"
    )

    bag = dags_of(directory)

    assert bag.import_errors == {}
    assert {dag_id for dag_id in bag.dags if dag_id.endswith("__bare")} == {
        f"{procedure}__bare"
        for procedure in (
            "back_up_database",
            "check_keys",
            "check_repositories",
            "expire_backups",
            "verify_backups",
        )
    }


def test_no_minute_of_a_week_has_more_than_a_few_runs(fleet):
    assert runs_due_at_once(fleet) <= 12


def test_times_that_are_written_out_stay_what_they_are(tmp_path):
    directory = write_fleet(tmp_path, 3)
    shared = (directory / "backstop.yaml").read_text()
    (directory / "backstop.yaml").write_text(shared.replace("H 1 * * *", "0 1 * * *"))

    bag = dags_of(directory, "back_up_database.py")

    assert {cron for dag in bag.dags.values() for cron in crons_of(dag)} == {"0 1 * * *"}
    assert all(dag.max_active_runs == 1 for dag in bag.dags.values())
    assert {dag.get_task("back_up").pool for dag in bag.dags.values()} == {"transfers"}


def test_what_moves_data_is_in_its_pool_and_what_brings_back_is_in_none(fleet):
    pools = {
        (dag.dag_id.partition("__")[0], task.task_id): task.pool
        for dag in fleet.dags.values()
        for task in dag.tasks
        if task.pool != "default_pool"
    }

    assert pools == {
        ("back_up_database", "back_up"): "transfers",
        ("back_up_files", "back_up"): "transfers",
        ("take_base_backup", "take"): "transfers",
        ("sync_repositories", "sync"): "transfers",
        ("check_repositories", "check"): "transfers",
        ("verify_backups", "verify"): "scratch",
        ("run_drill", "restore"): "scratch",
    }


def test_restores_go_before_backups_and_those_by_what_may_be_lost(tmp_path):
    directory = write_fleet(tmp_path, 2)
    urgent = (
        (directory / "system-000.yaml")
        .read_text()
        .replace("database:", "database:\n      objectives: {rpo: 1m}", 1)
    )
    (directory / "system-000.yaml").write_text(urgent)
    dags = dags_of(directory, "back_up_database.py", "restore_database.py", "verify_backups.py").dags

    def weight(dag_id: str) -> int:
        (weight,) = {task.priority_weight for task in dags[dag_id].tasks}
        return weight

    assert {str(task.weight_rule) for task in dags["restore_database"].tasks} == {"absolute"}
    order = ["restore_database", "back_up_database__system-000", "back_up_database__system-001"]
    order += ["verify_backups__system-001"]
    weights = [weight(dag_id) for dag_id in order]
    assert weights == sorted(set(weights), reverse=True)


def test_a_broken_file_is_an_import_error_with_its_place_and_all_other_targets_work(tmp_path):
    directory = write_fleet(tmp_path, 3)
    broken = directory / "system-001.yaml"
    broken.write_text(broken.read_text().replace("conn_id", "con_id", 1))

    bag = dags_of(directory)

    (error,) = bag.import_errors.values()
    assert f"{broken}:" in error
    assert "unknown key; did you mean 'conn_id'?" in error
    assert "system-001" in error.strip().splitlines()[-1]
    assert [one.rpartition("/")[2] for one in bag.import_errors] == ["broken_targets.py"]
    assert {"back_up_database__system-000", "back_up_database__system-002"} <= set(bag.dags)
    assert not any("system-001" in dag_id for dag_id in bag.dags)
    assert "system-001" not in bag.dags["restore_database"].params.get_param("target").schema["enum"]


def test_a_directory_without_a_mistake_leaves_no_import_error(fleet):
    assert fleet.import_errors == {}
    assert "watch_backups" in fleet.dags
