"""Whatever fails or is killed during a drill, at any step: nothing of it is left, and the record says so."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.drill import base, drill, folder, serving, tree
from backstop.commands.trees.assemble import Assembly
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.wal.prefetch import Prefetcher
from backstop.errors import IntegrityError, StorageUnavailableError
from backstop.model.measured import CheckedItem, Outcome
from backstop.postgres.recovery import RecoveredCluster
from backstop.repository.pins import readers
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.drill import DrillRecord
    from tests.drill_world import DrillWorld

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("drills"), pytest.mark.timeout(300)]

FETCHED = (base, "fetch_base", "database")
REPLAYED = (RecoveredCluster, "recover", "database")
STOPPED = (RecoveredCluster, "shut_down", "database")
TREE_ASSEMBLED = (Assembly, "run", "tree:media")
TREE_RESTORED = (TreeRestore, "restore_beside", "tree:media")
TREE_VALIDATED = (TreeRestore, "validate", "tree:media")
TREE_IN_PLACE = (TreeRestore, "swap", "tree:media")
STEPS = pytest.mark.parametrize(
    "step",
    [
        pytest.param(FETCHED, marks=pytest.mark.long, id="fetched"),
        pytest.param(REPLAYED, id="replayed"),
        pytest.param(STOPPED, marks=pytest.mark.long, id="stopped"),
        pytest.param(TREE_RESTORED, id="tree restored"),
        pytest.param(TREE_VALIDATED, id="tree validated"),
        pytest.param(TREE_IN_PLACE, id="tree in place"),
    ],
)


def afterwards(
    patch: pytest.MonkeyPatch, step: tuple[Any, str, str], then: Callable[[], object], *, once: bool = False
) -> None:
    """Let something happen once the step has done all that it does."""
    owner, name, _ = step
    usual = getattr(owner, name)

    def changed(*args: Any, **kwargs: Any) -> Any:
        usual(*args, **kwargs)
        if once:
            patch.setattr(owner, name, usual)
        return then()

    patch.setattr(owner, name, changed)


def raising(error: BaseException) -> Callable[[], object]:
    def then() -> object:
        raise error

    return then


def run(drills: DrillWorld, scenario: str) -> DrillRecord:
    one = drills.drill()
    return one.run(one.plan(scenario=scenario, moment=drills.world.source.ledger.moments[7]))


@STEPS
def test_a_step_that_fails_is_a_result_and_leaves_nothing(
    drills: DrillWorld, step: tuple[Any, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    afterwards(monkeypatch, step, raising(IntegrityError("object 7 is damaged", hint="heal it")))

    record = run(drills, step[2])

    [recovery] = record.components
    assert recovery.failure == "object 7 is damaged — heal it"
    assert recovery.downtime is None
    assert not record.passed
    assert drills.leftovers() == []


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()], ids=["a bug", "an interrupt"])
def test_what_nobody_expects_leaves_nothing_either(
    drills: DrillWorld, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    afterwards(monkeypatch, FETCHED, raising(error))

    with pytest.raises(type(error)):
        run(drills, "database")

    assert drills.leftovers() == []
    assert drills.around.records == []


def test_one_component_that_fails_keeps_none_of_the_others_back(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "recover_cluster", lambda task: raising(OSError(28, "No space left"))())

    record = run(drills, "all")

    assert [bool(one.failure) for one in record.components] == [False, True, False]
    assert drills.leftovers() == []


def test_a_checklist_that_breaks_down_is_not_done_and_leaves_nothing(drills: DrillWorld) -> None:
    drills.around.checks = lambda plan, restored: raising(StorageUnavailableError("s3 is silent"))()

    record = run(drills, "tree:media")

    assert {one.outcome for one in record.checklist} == {Outcome.NOT_DONE}
    assert len(record.checklist) == 5
    assert not record.passed
    assert drills.leftovers() == []


def test_a_record_that_no_repository_takes_is_an_error_and_leaves_nothing(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        drills.around, "keep", lambda plan, record: raising(StorageUnavailableError("none"))()
    )

    with pytest.raises(StorageUnavailableError):
        run(drills, "tree:media")

    assert drills.leftovers() == []


def test_what_cannot_be_removed_is_named_and_the_next_drill_removes_it(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(folder, "remove_tree", lambda path, **_: None)
        record = run(drills, "tree:media")

    assert not record.passed
    assert [one.endswith("could not be removed") for one in record.left_behind] == [True]
    assert drills.leftovers() != []

    assert run(drills, "tree:config").passed
    assert drills.leftovers() == []


def test_expiry_keeps_away_from_what_a_drill_reads(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    afterwards(monkeypatch, TREE_RESTORED, raising(IntegrityError("enough", hint="stop")))
    usual = TreeRestore.restore_beside

    def looking(self: TreeRestore, plan: Any) -> Any:
        storage, target = self.repository.storage, drills.protection.target
        seen.extend(one.holder for one in readers(storage, target, self.label, now=utc_now()))
        with self._opened(plan.only):
            seen.extend(one.holder for one in readers(storage, target, self.label, now=utc_now()))
        return usual(self, plan)

    monkeypatch.setattr(TreeRestore, "restore_beside", looking)

    record = run(drills, "tree:media")

    assert len(seen) == 1
    assert seen[0].startswith(f"drill {record.drill_id} on ")
    assert drills.leftovers() == []


def killed(drills: DrillWorld, scenario: str, plant: Callable[[pytest.MonkeyPatch], None]) -> None:
    """A drill in a process of its own that is killed where ``plant`` says."""
    child = os.fork()
    if child == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                plant(patch)
                run(drills, scenario)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the drill came to its end"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def servers_in(drills: DrillWorld) -> str:
    """Processes that have anything to do with the drills' folder."""
    return subprocess.run(
        ["pgrep", "-af", f"postgres.*{drills.scratch}"], capture_output=True, text=True, check=False
    ).stdout


def no_server_is_left(drills: DrillWorld) -> bool:
    give_up = time.monotonic() + 30
    while servers_in(drills) and time.monotonic() < give_up:
        time.sleep(0.05)
    return not servers_in(drills)


def after(step: tuple[Any, str, str]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: afterwards(patch, step, die)


def while_recovering(patch: pytest.MonkeyPatch) -> None:
    """The first time anybody asks, the server runs."""
    patch.setattr(Prefetcher, "check", lambda self: die())


def while_serving(patch: pytest.MonkeyPatch) -> None:
    def check(plan: Any, restored: Any) -> list[CheckedItem]:
        with serving.serving(restored[0]):
            die()
        return []

    patch.setattr(drill.Drill, "check", lambda self, plan, restored: check(plan, restored))


def while_tearing_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folder, "_remove_component", lambda path: die())


@pytest.mark.parametrize(
    ("scenario", "plant"),
    [
        pytest.param("database", after(FETCHED), marks=pytest.mark.long, id="fetched"),
        pytest.param("database", while_recovering, id="recovering"),
        pytest.param("database", while_serving, marks=pytest.mark.long, id="serving"),
        pytest.param("tree:media", after(TREE_ASSEMBLED), id="tree restored"),
        pytest.param("tree:media", after(TREE_IN_PLACE), id="tree in place"),
        pytest.param("tree:media", while_tearing_down, id="tearing down"),
    ],
)
def test_what_a_killed_drill_left_is_cleared_away_by_the_next(
    drills: DrillWorld, scenario: str, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    killed(drills, scenario, plant)

    assert no_server_is_left(drills)
    assert any(str(drills.scratch) in one for one in drills.leftovers())

    assert run(drills, "tree:config").passed
    assert drills.leftovers() == []


def test_a_killed_drill_can_be_torn_down_without_another_one(drills: DrillWorld) -> None:
    killed(drills, "tree:media", after(TREE_ASSEMBLED))
    assert any(mark.startswith("drill drill-") for mark in drills.leftovers())
    one = drills.drill()

    [plan] = one.found()
    assert one.tear_down(plan) == ()

    assert one.found() == []
    assert drills.leftovers() == []


def test_a_tree_that_came_back_different_says_so_and_lies_there_to_be_looked_at(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, seen = TreeRestore.restore_beside, []

    def spoiled(self: TreeRestore, plan: Any) -> Any:
        restored = usual(self, plan)
        for path in drills.scratch.rglob("first.txt"):
            path.write_text("media 2\n")
        return restored

    monkeypatch.setattr(tree.TreeRestore, "restore_beside", spoiled)
    drills.around.checks = lambda plan, restored: (
        seen.extend((one.differences, drills.files(one, "media")) for one in restored) or ()
    )

    run(drills, "tree:media")

    [(differences, files)] = seen
    assert any("first.txt" in sentence for sentence in differences)
    assert files == ["first.txt"]
    assert drills.leftovers() == []
