"""Steps of a drill where what they need is not there: a result that says so, and nothing passes unseen."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.drill.application import remembered, stop_forgotten
from backstop.commands.drill.drill import Drill
from backstop.commands.drill.folder import DrillFolder
from backstop.commands.drill.phases import Phases
from backstop.commands.drill.pieces import Brought, measured
from backstop.commands.drill.settings import DatabaseDrill, DrillSettings
from backstop.commands.progress import Silent
from backstop.errors import KeyServiceUnavailableError
from backstop.model.measured import Outcome
from backstop.targets.drill import DrillApplication
from tests.drilled import planned
from tests.evidenced import DRILL, NOON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.drill.restored import RestoredComponent
    from backstop.model.drill_plan import DrillPlan
    from backstop.model.measured import CheckedItem


class Around:
    def __init__(self) -> None:
        self.seen: list[RestoredComponent] = []
        self.error: Exception | None = None
        self.application = DrillApplication()

    def losses(self, *_: object) -> Sequence[Any]:
        return ()

    def stop(self, plan: DrillPlan) -> Sequence[str]:
        folder = DrillFolder(Path(plan.directory), plan.target)
        return stop_forgotten(folder.of(plan.drill_id), self.application)

    def check(self, plan: DrillPlan, restored: Sequence[RestoredComponent]) -> Sequence[CheckedItem]:
        self.seen = list(restored)
        if self.error is not None:
            raise self.error
        return DRILL.checklist


def no_key() -> Any:
    raise KeyServiceUnavailableError("KMS does not answer", hint="try again")


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    made = Drill(
        settings=DrillSettings(
            target="calibrify",
            directory=tmp_path,
            scenario="all",
            database=DatabaseDrill(repositories=("local",), dbname="calibrify"),
            trees={},
        ),
        open_repository=lambda name: SimpleNamespace(storage=None),  # type: ignore[arg-type, return-value]
        keyring=no_key,
        surroundings=Around(),  # type: ignore[arg-type]
        clock=lambda: NOON,
        progress=Silent(),
    )
    made.prepare(planned())
    return made


def test_a_key_service_that_does_not_answer_is_why_a_component_is_not_back(drill: Drill) -> None:
    restored = drill.restore(planned(), "base")

    assert restored.failure == "KMS does not answer — try again"
    assert restored.recovery.downtime is None


def test_a_component_whose_task_was_killed_is_checked_as_one_that_is_not_back(drill: Drill) -> None:
    drill.check(planned(), [])

    assert [(one.component, bool(one.failure)) for one in drill.surroundings.seen] == [  # type: ignore[attr-defined]
        ("base", True),
        ("tree:config", True),
    ]


def test_a_check_with_a_defect_leaves_the_checklist_undone_and_the_drill_to_be_recorded(drill: Drill) -> None:
    drill.surroundings.error = ValueError("of a row: secret")  # type: ignore[attr-defined]

    lines = drill.check(planned(), [])

    assert {one.outcome for one in lines} == {Outcome.NOT_DONE}
    assert {one.sentence for one in lines} == {"it could not be checked: ValueError"}


def test_a_drill_of_which_nothing_was_checked_has_not_passed() -> None:
    unseen = tuple(replace(one, outcome=Outcome.NOT_APPLICABLE) for one in DRILL.checklist)

    assert DRILL.passed
    assert not replace(DRILL, checklist=()).passed
    assert not replace(DRILL, checklist=unseen).passed


def test_a_clock_that_is_set_back_makes_no_recovery_quicker_than_its_work(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, seconds = timedelta(days=1), iter([0.0, 40.0])
    times = iter([NOON + 10 * timedelta(seconds=1), NOON - day])
    monkeypatch.setattr("backstop.commands.drill.phases.time.monotonic", lambda: next(seconds))
    phases = Phases(lambda: next(times))
    with phases.phase("restore"):
        pass
    plan = replace(planned(), began_at=NOON + day, planned_at=NOON + day)
    component = replace(plan.components[0], rto=timedelta(seconds=30))
    task: Any = type("", (), {"plan": plan, "planned": component, "phases": phases, "folder": ""})

    recovery = measured(task, Brought(NOON, None, "", bytes=1)).recovery

    assert recovery.downtime == timedelta(seconds=40)
    assert recovery.rto_met is False


def test_a_link_beside_drills_is_nothing_that_a_drill_may_clear_away(tmp_path: Path) -> None:
    live = tmp_path / "live"
    (live / "files").mkdir(parents=True)
    folder = DrillFolder(tmp_path / "scratch", "calibrify")
    folder.place.mkdir(parents=True)
    (folder.place / "drill-of-old").symlink_to(live)

    folder.claim(planned())
    folder.remove(planned().drill_id)

    assert (live / "files").is_dir()


@pytest.mark.parametrize("way", ["torn down", "by the next drill"])
def test_an_application_that_a_killed_checklist_left_running_is_stopped(
    drill: Drill, tmp_path: Path, way: str
) -> None:
    plan = replace(planned(), directory=str(tmp_path), attended=True)
    stopped = tmp_path / "stopped"
    application = DrillApplication(start=[["true"]], stop=[["sh", "-c", f'echo "$PGHOST" > {stopped}']])
    drill.surroundings.application = application  # type: ignore[attr-defined]
    drill.tear_down(plan)
    drill.prepare(plan)
    assert not stopped.exists()
    going = remembered(drill.folder.of(plan.drill_id), application, {"PGHOST": "/run/drill"})
    going.__enter__()

    if way == "torn down":
        assert drill.tear_down(plan) == ()
    else:
        killed = drill.folder._held.pop(plan.drill_id)
        os.close(killed)
        drill.prepare(replace(plan, drill_id="drill-20261126T130000Z-0002"))

    assert stopped.read_text() == "/run/drill\n"
    assert not drill.folder.of(plan.drill_id).exists()


def test_an_application_that_cannot_be_stopped_is_left_behind(drill: Drill, tmp_path: Path) -> None:
    plan = replace(planned(), directory=str(tmp_path))
    application = DrillApplication(start=[["true"]], stop=[["false"]])
    drill.surroundings.application = application  # type: ignore[attr-defined]
    going = remembered(drill.folder.of(plan.drill_id), application, {})
    going.__enter__()

    [left] = drill.tear_down(plan)

    assert left.startswith(f"the application that drill {plan.drill_id} started may still run")
