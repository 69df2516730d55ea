"""The DAG that rehearses disasters: what runs after what, whatever fails."""

from __future__ import annotations

import pytest
import yaml

from backstop.model.drill import CHECKLIST
from tests.dags.test_dags import CHECKOUT, with_targets


@pytest.fixture(scope="module")
def drills(tmp_path_factory):
    """Of ``calibrify``, monthly and on a queue of its own, and of ``asked``, on demand; read once."""
    from airflow.dag_processing.dagbag import DagBag

    document = with_targets("calibrify", "asked")
    document["targets"]["calibrify"].update(queue="dmz", drill={"schedule": "0 6 1 * *"})
    document["targets"]["asked"].update(queue=None, drill={})
    path = tmp_path_factory.mktemp("drills") / "targets.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSTOP_TARGETS", str(path))
        bag = DagBag(CHECKOUT / "dags" / "run_drill.py")
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture
def dag(drills):
    return drills["run_drill__calibrify"]


def test_a_drill_is_run_when_its_schedule_says_so_and_else_on_demand(dag, drills):
    assert dag.schedule.expression == "0 6 1 * *"
    assert drills["run_drill__asked"].schedule is None


def test_every_loss_that_the_target_can_suffer_is_offered(dag):
    offered = dag.params.get_param("scenario").schema["enum"]

    assert offered[0] == ""
    assert {"all", "database", "ransomware", "airflow", "tree:media", "repository:s3"} <= set(offered)


def test_a_drill_runs_where_its_target_can_be_reached(dag):
    assert {task.queue for task in dag.tasks} == {"dmz"}


def test_the_checklist_is_carried_out_although_something_did_not_come_back(dag):
    assert dag.get_task("check").trigger_rule == "all_done"
    assert dag.get_task("record").trigger_rule == "all_done"
    assert dag.get_task("checklist").expand_input.value["item"] == list(CHECKLIST)


def test_whatever_happens_after_the_setup_is_taken_down(dag):
    setup, teardown = dag.get_task("prepare"), dag.get_task("tear_down")

    assert setup.is_setup
    assert teardown.is_teardown
    assert {"prepare", "check", "without_airflow"} <= teardown.upstream_task_ids
    assert {"restore", "check", "without_airflow"} <= {one.task_id for one in setup.get_flat_relatives()}


def test_a_clean_teardown_cannot_hide_a_drill_that_failed(dag):
    leaves = {task.task_id: task.trigger_rule for task in dag.leaves}

    # A task that runs whatever came before it would end a failed run as if nothing had happened.
    assert leaves == {
        "checklist": "all_success",
        "judge": "all_success",
        "sign_off": "all_success",
        "steps": "none_failed",
    }
    assert dag.get_task("steps").upstream_task_ids == {"restore", "check", "without_airflow"}


def test_a_sign_off_is_asked_for_once(dag):
    assert dag.get_task("sign_off").retries == 0
