"""Disasters are rehearsed by the DAG of a real Airflow: unattended, but for whoever signs them off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from backstop.model.drill import CHECKLIST, DrillRecord
from backstop.model.drill_document import drill_from, sign_off_from
from embedded.demo import BASE_BACKUP, TARGET
from embedded.drill_demo import DRILL
from embedded.files_demo import CONFIG, MEDIA, back_up_dag

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.airflow_api import Run
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]


@pytest.fixture(scope="module")
def protected(scene: Scene) -> Scene:
    """Everything of the sample has been backed up: cluster, media, configuration."""
    scene.demo.files.write()
    for dag_id in (BASE_BACKUP, back_up_dag(MEDIA), back_up_dag(CONFIG), DRILL):
        scene.admin.wait_for_dag(dag_id)
    runs = [scene.admin.trigger(back_up_dag(tree)) for tree in (MEDIA, CONFIG)]
    for run in (*runs, scene.admin.trigger(BASE_BACKUP, {"kind": "full"})):
        scene.admin.require_success(run)
    return scene


def drill(scene: Scene, scenario: str, *, answer: str = "Accepted") -> tuple[Run, dict[str, Any]]:
    """A run that has ended, and the form that somebody answered in it."""
    run = scene.admin.trigger(DRILL, {"scenario": scenario, "seed": "7"})
    form = scene.approver.question(run, "sign_off", timeout=600)
    scene.approver.answer(run, "sign_off", answer, {"remarks": f"We lost {scenario}."})
    scene.admin.wait(run)
    return run, form


def states(scene: Scene, run: Run) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task in scene.admin.tasks(run):
        found.setdefault(task["task_id"], set()).add(task["state"])
    return found


def record_of(scene: Scene, run: Run) -> DrillRecord:
    return drill_from(scene.admin.result(run, "record"))


def evidence(scene: Scene, subject: str) -> dict[str, Any]:
    """What the local repository's chain has of it, by kind."""
    folder = scene.stack.home.repository / TARGET / "meta" / "evidence"
    documents = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    return {one["kind"]: one["document"] for one in documents if one["subject"] == subject}


def left_over(scene: Scene) -> list[Path]:
    """Whatever lies where drills restore."""
    return [path for place in scene.stack.home.root.rglob("backstop-drills") for path in place.iterdir()]


def test_everything_is_lost_restored_checked_signed_off_and_nothing_is_left(protected: Scene) -> None:
    live = protected.live_oid()

    run, form = drill(protected, "all")

    assert protected.admin.state(run) == "success", protected.admin.failures(run)
    record = record_of(protected, run)
    assert record.passed
    assert record.objectives_met
    assert {one.component for one in record.components} == {"base", "tree:media", "tree:config"}
    assert {one.item for one in record.checklist} == set(CHECKLIST)
    assert form["subject"] == f"Drill of {TARGET}: passed. Is that as it should be?"
    assert all(title in form["body"] for title in CHECKLIST.values())
    said = sign_off_from(evidence(protected, record.drill_id)["sign-off"], drill_id=record.drill_id)
    assert (said.by, said.accepted, said.remarks) == ("approver", True, "We lost all.")
    assert evidence(protected, record.drill_id)["drill"]["seed"] == "7"
    assert in_inventory(protected, record.drill_id).sign_off == said
    assert "signed off by approver" in protected.admin.get(run.path)["note"]
    assert left_over(protected) == []
    assert protected.live_oid() == live


def in_inventory(scene: Scene, drill_id: str) -> DrillRecord:
    from backstop.repository.drills import list_drills

    with scene.stack.metadata.connect("backstop_inventory", "backstop_inventory") as session:
        return next(one for one in list_drills(session, TARGET) if one.drill_id == drill_id)


@pytest.mark.long
@pytest.mark.parametrize(
    "scenario",
    ["database", "tree:media", "tree:config", "repository:s3", "repository:local", "ransomware"],
)
def test_whatever_is_lost_comes_back(protected: Scene, scenario: str) -> None:
    run, _ = drill(protected, scenario)

    record = record_of(protected, run)
    assert protected.admin.state(run) == "success", protected.admin.failures(run)
    assert (record.scenario, record.passed) == (scenario, True)
    lost = scenario.partition(":")[2] if scenario.startswith("repository:") else ""
    assert lost not in {one.repository for one in record.components}
    assert left_over(protected) == []


@pytest.mark.long
def test_without_airflow_the_command_line_does_it_alone(protected: Scene) -> None:
    run, _ = drill(protected, "airflow")

    record = record_of(protected, run)
    assert protected.admin.state(run) == "success", protected.admin.failures(run)
    assert record.passed
    assert "carried out by the command line alone, without Airflow and inventory" in record.notes
    assert states(protected, run)["restore"] == {"skipped"}
    assert in_inventory(protected, record.drill_id).sign_off is not None
    assert left_over(protected) == []


@pytest.mark.long
def test_a_drill_that_is_to_be_done_again_ends_red_with_its_record_signed(protected: Scene) -> None:
    run, _ = drill(protected, "tree:config", answer="Do it again")

    assert protected.admin.state(run) == "failed"
    assert states(protected, run)["judge"] == {"success"}
    record = record_of(protected, run)
    assert evidence(protected, record.drill_id)["sign-off"]["accepted"] is False
