from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmarks.parsing import targets_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.dag_processing.dagbag import DagBag

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "dags" / "targets.yaml"


@pytest.fixture
def read_dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DagBag]:
    """Reads the DAG files as Airflow does, with this targets.yaml (text or document)."""

    def read(targets: str | dict[str, Any] | None = None) -> DagBag:
        from airflow.dag_processing.dagbag import DagBag

        path = tmp_path / "targets.yaml"
        if targets is None:
            path = EXAMPLE
        else:
            path.write_text(targets if isinstance(targets, str) else yaml.safe_dump(targets))
        monkeypatch.setenv("BACKSTOP_TARGETS", str(path))
        return DagBag(CHECKOUT / "dags")

    return read


def with_targets(*names: str, **changes: Any) -> dict[str, Any]:
    """The example with its target under other names and with other words in it."""
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["targets"] = {name: {**document["targets"]["calibrify"], **changes} for name in names}
    return document


def test_targets_yaml_is_checked_once_for_all_files_and_again_when_it_changes(read_dags, monkeypatch):
    from backstop.targets import load

    checked = []
    check_text = load.check_text
    monkeypatch.setattr(load, "check_text", lambda text: checked.append(text) or check_text(text))

    assert read_dags(targets_document(2)).import_errors == {}
    assert len(checked) == 1

    assert "back_up_database__again" in read_dags(with_targets("again")).dags
    assert len(checked) == 2


def test_every_target_has_its_own_scheduled_dags_and_shares_the_restore(read_dags):
    bag = read_dags(with_targets("calibrify", "archive"))

    assert bag.import_errors == {}
    assert {
        "back_up_database__archive",
        "back_up_database__calibrify",
        "verify_backups__archive",
        "verify_backups__calibrify",
        "restore_database",
        "take_base_backup__archive",
        "archive_wal__calibrify",
        "sync_repositories__calibrify",
        "restore_to_point_in_time",
    } <= set(bag.dags)
    assert bag.dags["restore_database"].params.get_param("target").schema["enum"] == ["archive", "calibrify"]


def test_a_mistake_in_targets_yaml_is_one_clear_import_error_a_file(read_dags):
    bag = read_dags(EXAMPLE.read_text().replace("jobs: 2", "jobs: many"))

    assert bag.dags == {}
    assert len(bag.import_errors) == len(list((CHECKOUT / "dags").glob("*.py")))
    for error in bag.import_errors.values():
        assert "targets.calibrify.database.jobs" in error.strip().splitlines()[-1]


def test_a_missing_targets_yaml_names_the_file_and_the_variable(read_dags, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("BACKSTOP_TARGETS", "/nowhere/targets.yaml")
    bag = DagBag(CHECKOUT / "dags")

    for error in bag.import_errors.values():
        assert "/nowhere/targets.yaml" in error
        assert "BACKSTOP_TARGETS" in error


def test_words_that_look_like_code_stay_words(read_dags):
    hostile = "{{ 1/0 }} <script>alert(1)</script> '\"; DROP TABLE users; -- %s"
    bag = read_dags(with_targets("a" * 40, "a_b", "a-b", "0", description=hostile, owner="o'wner {{ x }}"))

    assert bag.import_errors == {}
    for dag in bag.dags.values():
        if dag.dag_id.startswith("back_up_database"):
            assert dag.description == hostile
        if dag.dag_id.startswith("back_up"):
            assert all(task.owner == "o'wner {{ x }}" for task in dag.tasks)


def test_targets_pinned_to_a_queue_are_restored_by_a_dag_of_that_queue(read_dags):
    document = with_targets("here", "there")
    document["targets"]["there"]["queue"] = "dmz"
    bag = read_dags(document)

    pinned = bag.dags["restore_database__dmz"]
    assert pinned.params.get_param("target").schema["enum"] == ["there"]
    assert {task.queue for task in pinned.tasks} == {"dmz"}
    assert {task.queue for task in bag.dags["back_up_database__there"].tasks} == {"dmz"}
    assert bag.dags["restore_database"].params.get_param("target").schema["enum"] == ["here"]


def test_a_target_that_cannot_be_restored_in_place_is_not_offered_for_it(read_dags):
    document = with_targets("calibrify")
    document["targets"]["calibrify"]["database"]["restore_conn_id"] = None
    bag = read_dags(document)

    assert bag.import_errors == {}
    assert not any(dag_id.startswith("restore_database") for dag_id in bag.dags)


def test_a_target_without_schedule_is_backed_up_by_hand_only(read_dags):
    document = with_targets("calibrify")
    document["targets"]["calibrify"]["database"]["schedule"] = None

    assert read_dags(document).dags["back_up_database__calibrify"].schedule is None


def test_a_target_with_one_repository_has_nothing_to_keep_in_step(read_dags):
    document = with_targets("calibrify", "alone")
    alone = document["targets"]["alone"]
    alone["database"] = {**alone["database"], "repositories": ["local"], "retention": {}}
    alone["trees"] = {
        name: {**tree, "repositories": ["local"], "retention": {}} for name, tree in alone["trees"].items()
    }
    bag = read_dags(document)

    assert bag.import_errors == {}
    assert [one for one in bag.dags if one.startswith("sync_repositories")] == [
        "sync_repositories__calibrify"
    ]


def test_setting_backstop_up_starts_no_backup_before_its_time(read_dags):
    from airflow.serialization.serialized_objects import DagSerialization

    dag = read_dags().dags["back_up_database__calibrify"]
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    first = stored.next_dagrun_info(last_automated_run_info=None)

    assert first.run_after.timestamp() > time.time()
    assert (first.run_after.hour, first.run_after.minute) == (1, 0)


def test_every_dag_survives_being_stored_by_airflow(read_dags):
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in read_dags().dags.values():
        stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        assert stored.task_ids == dag.task_ids


def test_every_dag_carries_its_runbook_and_starts_unpaused(read_dags):
    for dag in read_dags().dags.values():
        assert "When a task is red" in dag.doc_md
        assert "python -m backstop" in dag.doc_md
        assert dag.is_paused_upon_creation is False
        assert dag.catchup is False


def test_the_runbook_names_every_task_that_people_may_see_red(read_dags):
    explained_elsewhere = {"sweep_scratch", "list_unproven", "reopen", "start_cluster"}
    explained_elsewhere |= {"stop_if_beside", "stop_if_dry_run"}
    for dag in read_dags().dags.values():
        for task_id in set(dag.task_ids) - explained_elsewhere:
            assert f"`{task_id}`" in dag.doc_md, f"{dag.dag_id} does not say what to do about {task_id}"


def test_no_failed_task_hides_behind_a_successful_run(read_dags):
    """The state of a run is that of its leaves; teardowns that do not count are not leaves.

    Who cannot be told of a recovery is told of by a notification, and stops nothing: those alone may be red
    in a run that succeeds.
    """
    unseen = {
        f"{dag.dag_id}: {task.task_id}"
        for dag in read_dags().dags.values()
        for task in dag.tasks
        if not task.is_teardown and not _failure_reaches_a_leaf(task)
    }

    assert unseen == {f"recover_from_disaster: tell_{moment}" for moment in ("start", "progress", "end")}


def _failure_reaches_a_leaf(task: Any) -> bool:
    counting = [one for one in task.downstream_list if not one.is_teardown or one.on_failure_fail_dagrun]
    if not counting:
        return True
    passing_on = ("all_success", "none_failed")
    return any(
        (one.trigger_rule in passing_on or task.task_id in getattr(one, "fails_for", ()))
        and _failure_reaches_a_leaf(one)
        for one in counting
    )


def test_nothing_that_asks_people_or_swaps_is_ever_retried(read_dags):
    asking = {
        "restore_database": ("choose_backup", "approve", "check_swap", "swap"),
        "restore_to_point_in_time": ("approve", "recover_beside", "check_cut_over", "cut_over"),
        "restore_files": ("approve", "validate", "swap"),
        "swap_back_files": ("approve", "swap_back"),
        "recover_from_disaster": ("approve", "recover", "infrastructure"),
        "expire_backups__calibrify": ("approve",),
    }
    for dag_id, names in asking.items():
        tasks = {task.task_id: task for task in read_dags().dags[dag_id].tasks}
        assert {tasks[name].retries for name in names} == {0}


def test_every_repository_of_a_target_is_planned_and_expired_by_itself(read_dags):
    dag = read_dags().dags["expire_backups__calibrify"]

    for name in ("plan", "carry_out"):
        assert dag.get_task(name).expand_input.value == {"repository": ["local", "s3"]}
    # What waits for consent is behind the plan of every repository, and in front of every removal.
    assert dag.get_task("approve").upstream_task_ids == {"stop_if_dry_run"}
    assert dag.get_task("carry_out").upstream_task_ids == {"approve"}


def test_expiry_without_a_schedule_runs_by_hand_only(read_dags):
    bag = read_dags(with_targets("calibrify", expiry={"schedule": None}))

    assert bag.dags["expire_backups__calibrify"].schedule is None


def test_holds_and_the_inventory_of_targets_pinned_to_a_queue_have_dags_of_that_queue(read_dags):
    document = with_targets("here", "there")
    document["targets"]["there"]["queue"] = "dmz"
    bag = read_dags(document)

    assert bag.dags["hold_backups__dmz"].params.get_param("target").schema["enum"] == ["there"]
    assert {task.queue for task in bag.dags["hold_backups__dmz"].tasks} == {"dmz"}
    assert bag.dags["rebuild_inventory__dmz"].get_task("rebuild").expand_input.value == {"target": ["there"]}
    assert bag.dags["rebuild_inventory"].get_task("rebuild").expand_input.value == {"target": ["here"]}


def test_whatever_happens_to_the_swap_the_database_is_opened_again(read_dags):
    dag = read_dags().dags["restore_database"]
    reopen = dag.get_task("reopen")

    assert reopen.is_teardown
    assert {"check_swap", "swap"} <= reopen.upstream_task_ids
    assert dag.get_task("check_swap").is_setup
    assert dag.get_task("swap").upstream_task_ids == {"check_swap"}


def test_whatever_happens_to_the_cut_over_the_server_is_started_again(read_dags):
    dag = read_dags().dags["restore_to_point_in_time"]
    start = dag.get_task("start_cluster")

    assert start.is_teardown
    assert {"check_cut_over", "cut_over"} <= start.upstream_task_ids
    assert dag.get_task("check_cut_over").is_setup
    assert dag.get_task("cut_over").upstream_task_ids == {"check_cut_over"}


def test_a_target_without_a_cluster_section_has_dumps_alone(read_dags):
    document = with_targets("calibrify")
    del document["targets"]["calibrify"]["cluster"]
    bag = read_dags(document)

    assert bag.import_errors == {}
    assert not {one for one in bag.dags if one.startswith(("take_base", "archive_wal", "restore_to"))}


def test_wal_is_received_by_a_task_that_never_ends_where_that_is_wanted(read_dags):
    document = with_targets("service", "airflow")
    cluster = document["targets"]["airflow"]["cluster"]
    document["targets"]["airflow"]["cluster"] = {**cluster, "wal": {"runner": "airflow"}}
    bag = read_dags(document)

    assert bag.dags["archive_wal__airflow"].task_ids == ["archive"]
    assert bag.dags["archive_wal__airflow"].schedule == "@continuous"
    assert bag.dags["archive_wal__service"].task_ids == ["watch"]


def test_scratch_is_swept_before_and_after_every_proof(read_dags):
    dag = read_dags().dags["verify_backups__calibrify"]

    assert dag.get_task("sweep_scratch").is_setup
    assert dag.get_task("sweep_scratch_again").is_teardown
    assert dag.get_task("verify").upstream_task_ids >= {"sweep_scratch"}


def test_a_backup_wakes_the_verification_of_its_own_target_only(read_dags):
    bag = read_dags(with_targets("one", "two"))

    outlets = bag.dags["back_up_database__one"].get_task("back_up").outlets
    assert [asset.uri for asset in outlets] == ["x-backstop://one/database"]
    outlets += bag.dags["take_base_backup__one"].get_task("take").outlets
    for tree in ("media", "config"):
        outlets += bag.dags[f"back_up_files__one__{tree}"].get_task("back_up").outlets
    wakes = {name: bag.dags[f"verify_backups__{name}"].schedule.objects for name in ("one", "two")}
    assert {asset.uri for asset in wakes["one"]} == {asset.uri for asset in outlets}
    assert not {asset.uri for asset in wakes["two"]} & {asset.uri for asset in outlets}


def with_tree(**rules: Any) -> dict[str, Any]:
    return with_targets("calibrify", trees={"config": {"paths": ["/etc/app"], **rules}})


def test_a_tree_is_backed_up_at_times_on_change_or_both(read_dags):
    dag_id, cron = "back_up_files__calibrify__config", "0 2 * * *"

    assert read_dags(with_tree()).dags[dag_id].schedule is None
    assert read_dags(with_tree(schedule=cron)).dags[dag_id].schedule.expression == cron
    (asset,) = read_dags(with_tree(on_change={})).dags[dag_id].schedule
    assert asset.watchers[0].trigger.serialize()[1]["tree"] == "config"
    both = read_dags(with_tree(on_change={}, schedule=cron)).dags[dag_id].schedule
    assert both.timetable.expression == cron
    assert [one.uri for one in both.asset_condition.objects] == [asset.uri]


def test_a_tree_that_a_service_watches_has_no_watcher_here_and_its_backups_are_looked_for(read_dags):
    bag = read_dags(with_tree(on_change={"watcher": "service"}))

    assert bag.dags["back_up_files__calibrify__config"].schedule is None
    every_hour = bag.dags["verify_backups__calibrify"].schedule.timetable.expression
    assert re.fullmatch(r"\d+ \* \* \* \*", every_hour)


def test_the_files_of_another_host_are_backed_up_and_restored_by_its_own_workers(read_dags):
    document = with_tree(queue="web")
    document["targets"]["calibrify"]["trees"]["media"] = {"paths": ["/srv/media"]}
    bag = read_dags(document)

    assert {task.queue for task in bag.dags["back_up_files__calibrify__config"].tasks} == {"web"}
    pinned = bag.dags["restore_files__web"]
    assert {task.queue for task in pinned.tasks} == {"web"}
    assert pinned.params.get_param("tree").schema["enum"] == ["config"]
    assert bag.dags["restore_files"].params.get_param("tree").schema["enum"] == ["media"]
    assert {task.queue for task in bag.dags["swap_back_files__web"].tasks} == {"web"}


def test_a_target_without_trees_has_no_dags_about_files(read_dags):
    document = with_targets("calibrify")
    del document["targets"]["calibrify"]["trees"]
    bag = read_dags(document)

    assert bag.import_errors == {}
    assert not {one for one in bag.dags if "files" in one}


def test_the_recovery_time_objective_is_watched(read_dags):
    (alert,) = read_dags().dags["restore_database"].deadline

    assert alert.interval == 3600


def test_parsing_contacts_nothing_and_loads_nothing_heavy():
    """In a process of its own: what a DAG processor does over and over."""
    program = f"""
import socket, sys
import airflow.sdk, airflow.providers.standard.operators.hitl  # in every DAG processor already
sys.path.insert(0, {str(CHECKOUT / "plugins")!r})
def refuse(*arguments, **named):
    raise AssertionError("a DAG file opened a connection")
socket.socket.connect = refuse
from importlib.util import module_from_spec, spec_from_file_location
already = set(sys.modules)
for path in sys.argv[1:]:
    spec = spec_from_file_location("dag_file", path)
    spec.loader.exec_module(module_from_spec(spec))
heavy = {{"boto3", "aws_encryption_sdk", "psycopg", "cryptography", "zstandard", "rich"}}
print(*(heavy & set(sys.modules) - already))
"""
    files = [str(path) for path in sorted((CHECKOUT / "dags").glob("*.py"))]
    done = subprocess.run(
        [sys.executable, "-c", program, *files],
        env={**os.environ, "BACKSTOP_TARGETS": str(EXAMPLE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("dag_id", "swap"),
    [
        ("restore_database", "swap"),
        ("swap_back_database", "swap"),
        ("restore_to_point_in_time", "cut_over"),
        ("restore_files", "swap"),
        ("swap_back_files", "swap_back"),
    ],
)
def test_every_step_behind_an_approval_is_told_of_this_runs_swap(read_dags, dag_id, swap):
    from backstop.operators.approved import ApprovedOperator
    from backstop.operators.base import result_of

    dag = read_dags().dags[dag_id]

    approved = [task for task in dag.tasks if isinstance(task, ApprovedOperator)]
    assert len(approved) >= (1 if dag_id == "swap_back_files" else 2)
    assert {task.swapped for task in approved} == {result_of(swap)}


def test_only_a_target_with_legacy_backups_has_a_dag_for_them_and_it_is_red_when_any_task_is(read_dags):
    assert not any(dag_id.startswith("legacy_backups") for dag_id in read_dags().dags)
    legacy = {"database": {"places": {"local": "/old"}}, "schedule": "30 4 * * *"}

    bag = read_dags(with_targets("calibrify", legacy=legacy))

    assert bag.import_errors == {}
    dag = bag.dags["legacy_backups__calibrify"]
    # Whatever fails before it, the only last task does not run, and so the run has failed.
    assert [task.task_id for task in dag.leaves] == ["list_legacy"]
    assert dag.get_task("list_legacy").trigger_rule == "none_failed"
    assert dag.get_task("list_legacy").upstream_task_ids == {"verify", "retire"}


def test_targets_are_watched_by_the_workers_that_reach_them_at_most_fifty_a_task(read_dags):
    names = [f"system-{n:03}" for n in range(101)]
    document = with_targets(*names, "there")
    document["targets"]["there"]["queue"] = "dmz"
    dag = read_dags(document).dags["watch_backups"]

    chunks = dag.get_task("watch").expand_input.value["targets"]
    assert [len(chunk) for chunk in chunks] == [50, 50, 1]
    assert [name for chunk in chunks for name in chunk] == names
    pinned = dag.get_task("watch__dmz")
    assert (pinned.queue, pinned.expand_input.value["targets"]) == ("dmz", [["there"]])
    assert pinned.queue != dag.get_task("watch").queue


def test_watches_neither_pile_up_nor_last_for_ever(read_dags):
    dag = read_dags().dags["watch_backups"]

    assert dag.schedule.expression == "*/5 * * * *"
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    for name in ("watch", "announce"):
        assert dag.get_task(name).execution_timeout


def test_what_was_found_is_told_even_when_a_watch_failed_and_the_run_fails_then(read_dags):
    dag = read_dags().dags["watch_backups"]

    assert dag.get_task("announce").trigger_rule == "all_done"
    watching = {"watch", "check_configuration"}
    assert dag.get_task("announce").upstream_task_ids == watching
    assert dag.get_task("require_watched").upstream_task_ids == {*watching, "announce"}
    assert [task.task_id for task in dag.leaves] == ["require_watched"]


def test_every_failed_run_and_every_failed_task_of_ours_tells_people(read_dags):
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.hitl import HITLOperator

    from backstop.notifications.runs import run_failed, task_failed
    from backstop.operators.disaster_telling import not_told

    for dag in read_dags().dags.values():
        assert dag.on_failure_callback is run_failed, dag.dag_id
        for task in dag.tasks:
            kind = getattr(task, "operator_class", type(task))
            # A mapped one gets it when it is made, on the worker.
            if type(task) is kind and not issubclass(kind, EmptyOperator | HITLOperator):
                told = [not_told] if task.task_id.startswith("tell_") else [task_failed]
                assert task.on_failure_callback == told, f"{dag.dag_id}: {task.task_id}"


def test_what_brings_back_or_takes_away_is_for_the_roles_that_targets_yaml_names(read_dags):
    procedures = ("restore", "expire", "disaster", "keys")
    bag = read_dags(with_targets("calibrify", access={name: [f"{name}-people"] for name in procedures}))
    of_tag = {"restore": "restore", "expiry": "expire", "disaster": "disaster", "keys": "keys"}
    guarded = {
        dag_id: role
        for dag_id, dag in bag.dags.items()
        for tag, role in of_tag.items()
        if tag in dag.tags and not dag_id.startswith(("check_keys", "reencrypt"))
    }

    assert bag.import_errors == {}
    assert len(guarded) >= 9
    for dag_id, role in guarded.items():
        assert set(bag.dags[dag_id].access_control or {}) == {f"{role}-people"}, dag_id


def test_without_roles_airflow_is_told_nothing_of_access(read_dags):
    assert [dag_id for dag_id, dag in read_dags().dags.items() if dag.access_control is not None] == []
