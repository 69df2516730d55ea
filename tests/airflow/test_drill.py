"""Disasters are rehearsed by the DAG of a real Airflow: unattended, but for whoever signs them off."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backstop.model.canonical import format_time
from backstop.model.drill import CHECKLIST, DrillRecord
from backstop.model.drill_document import drill_from, sign_off_from
from embedded.demo import TARGET
from embedded.drill_demo import DRILL
from embedded.files import write_private
from embedded.files_demo import CONFIG, MEDIA, back_up_dag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.airflow_api import Run
    from embedded.story import FilesStory, Story
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]


OTHERS = ("database", "tree:media", "tree:config", "repository:s3", "repository:local", "ransomware")


@pytest.fixture(scope="module")
def protected(scene: Scene, files_story: FilesStory, recovery_story: Story) -> Scene:
    """Everything of the sample has been backed up: media, configuration, and the cluster on two timelines."""
    assert files_story.backups.keys() == {MEDIA, CONFIG}
    assert recovery_story.protected_again
    scene.admin.wait_for_dag(DRILL)
    return scene


@pytest.fixture(scope="module")
def moment(protected: Scene) -> str:
    """Nothing was missing then. At others files were, which tests had lost, and it was backed up so."""
    protected.admin.require_success(protected.admin.trigger(back_up_dag(CONFIG)))
    moment = format_time(datetime.now(timezone.utc))
    with protected.stack.protected.connect(TARGET) as session:
        session.execute("CREATE TABLE later_than_the_disaster AS SELECT 1")
        session.execute("DROP TABLE later_than_the_disaster")
    return moment


def asked(scenario: str, moment: str) -> dict[str, str]:
    return {"scenario": scenario, "seed": "7", "moment": moment}


def drill(
    scene: Scene, scenario: str, moment: str, *, answer: str = "Accepted"
) -> tuple[Run, dict[str, Any]]:
    """A run that has ended, and the form that somebody answered in it."""
    run = scene.admin.trigger(DRILL, asked(scenario, moment))
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
    # rglob would stumble over folders of others that vanish meanwhile.
    walk = os.walk(scene.stack.home.root)
    places = [Path(top, "backstop-drills") for top, names, _ in walk if "backstop-drills" in names]
    return [path for place in places for path in place.iterdir()]


def test_everything_is_lost_restored_checked_signed_off_and_nothing_is_left(
    protected: Scene, moment: str
) -> None:
    live = protected.live_oid()

    run, form = drill(protected, "all", moment)

    assert protected.admin.state(run) == "success", protected.admin.why(run)
    record = record_of(protected, run)
    assert record.passed
    assert record.objectives_met
    assert format_time(record.disaster_at) == moment
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
@pytest.mark.parametrize("scenario", OTHERS)
def test_whatever_is_lost_comes_back(protected: Scene, moment: str, scenario: str) -> None:
    run, _ = drill(protected, scenario, moment)

    record = record_of(protected, run)
    assert protected.admin.state(run) == "success", protected.admin.why(run)
    assert (record.scenario, record.passed) == (scenario, True)
    lost = scenario.partition(":")[2] if scenario.startswith("repository:") else ""
    assert lost not in {one.repository for one in record.components}
    assert left_over(protected) == []


@pytest.mark.long
def test_without_airflow_the_command_line_does_it_alone(protected: Scene, moment: str) -> None:
    run, _ = drill(protected, "airflow", moment)

    record = record_of(protected, run)
    assert protected.admin.state(run) == "success", protected.admin.why(run)
    assert record.passed
    assert "carried out by the command line alone, without Airflow and inventory" in record.notes
    assert states(protected, run)["restore"] == {"skipped"}
    assert in_inventory(protected, record.drill_id).sign_off is not None
    assert left_over(protected) == []


@pytest.mark.long
def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_behind_and_the_run_is_red(
    protected: Scene, moment: str, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    tell_and_hang = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    probe = {"name": "hangs", "command": [sys.executable, "-c", tell_and_hang, str(begun)], "timeout": "10m"}
    with drill_rules(protected, probes=[probe]):
        run = protected.admin.trigger(DRILL, asked("all", moment))
        wait_for(begun)
        assert left_over(protected)
        os.kill(protected.task(run, "check")["pid"], signal.SIGKILL)
        protected.approver.question(run, "sign_off", timeout=600)
        protected.approver.answer(run, "sign_off", "Accepted", {"remarks": "We pulled the plug."})
        protected.admin.wait(run)

    record = record_of(protected, run)
    assert protected.admin.state(run) == "failed"
    assert states(protected, run)["tear_down"] == {"success"}
    assert not record.passed
    assert all(not one.failure for one in record.components)
    assert left_over(protected) == []


@pytest.mark.long
def test_a_component_that_does_not_come_back_is_red_and_the_others_are_checked(
    protected: Scene, moment: str
) -> None:
    packs = protected.stack.home.repository / TARGET / "data" / "trees" / MEDIA
    away = packs.with_name("away")
    packs.rename(away)
    try:
        # With the other repository lost too, nobody can lend what is missing.
        run, form = drill(protected, "repository:s3", moment)
    finally:
        away.rename(packs)

    record = record_of(protected, run)
    assert protected.admin.state(run) == "failed"
    assert form["subject"].startswith(f"Drill of {TARGET}: failed.")
    failed = {one.component: one.failure for one in record.components}
    assert [name for name, failure in failed.items() if failure] == [f"tree:{MEDIA}"]
    assert {"passed"} == {one.outcome.value for one in record.checklist if one.component == f"tree:{CONFIG}"}
    assert left_over(protected) == []


@contextmanager
def drill_rules(scene: Scene, **rules: Any) -> Iterator[None]:
    """Other words about drills in targets.yaml for a while: tasks read it when they run."""
    path = scene.stack.home.targets
    former = path.read_text()
    document = yaml.safe_load(former)
    document["targets"][TARGET]["drill"].update(rules)
    write_private(path, yaml.safe_dump(document))
    try:
        yield
    finally:
        write_private(path, former)


def wait_for(file: Path, *, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.2)


@pytest.mark.long
def test_a_drill_that_nobody_signs_off_in_time_ends_red(protected: Scene, moment: str) -> None:
    with drill_rules(protected, sign_off={"required": True, "within": "5s"}):
        run = protected.admin.trigger(DRILL, asked("tree:config", moment))
        protected.admin.wait(run)

    assert protected.admin.state(run) == "failed"
    [failure] = protected.admin.failures(run)
    assert "nobody signed drill" in failure
    assert record_of(protected, run).passed


@pytest.mark.long
def test_a_drill_that_is_to_be_done_again_ends_red_with_its_record_signed(
    protected: Scene, moment: str
) -> None:
    run, _ = drill(protected, "tree:config", moment, answer="Do it again")

    assert protected.admin.state(run) == "failed"
    assert states(protected, run)["judge"] == {"success"}
    record = record_of(protected, run)
    assert evidence(protected, record.drill_id)["sign-off"]["accepted"] is False
