"""What watch_backups does: looks, enters what it found, tells people, and sees what runs have mended."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError, AirflowSkipException, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from backstop.commands.watch import observe
from backstop.commands.watch.observe import Observed
from backstop.errors import ConfigurationError, SourceUnavailableError
from backstop.model.finding import EVERY_TARGET, Finding, Level
from backstop.model.observation import Observation
from backstop.operators import watch
from backstop.operators.runs import FORGET, FORGET_BY_HAND, close_mended_runs
from backstop.operators.watch import AnnounceOperator, WatchTargetsOperator
from backstop.operators.watch_configuration import WatchConfigurationOperator
from backstop.repository.findings import Findings
from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations
from backstop.settings.watch import WatchedTargets
from tests.notifying import PIGEON, Pigeon
from tests.operators.lab import context

pytestmark = pytest.mark.integration

START = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)


def finding(target="calibrify", check="slot", subject="slot b", level=Level.CRITICAL) -> Finding:
    return Finding(target, check, subject, level, f"the {check} of {target} is wrong", "look")


class World:
    """What a watch would find, and when it is."""

    def __init__(self, database: Any, folder: Any) -> None:
        self.now = START
        self.found: dict[str, Any] = {"calibrify": (), "plain": ()}
        self.unjudged: frozenset[tuple[str, str]] = frozenset()
        self.inventory = Inventory(database)
        self.inventory.migrate()
        self.findings = Findings(database)
        self.observations = Observations(database)
        self.file = folder / "targets.yaml"
        self.runs = Runs()

    def open(self, name: str) -> Any:
        if isinstance(self.found[name], Exception):
            raise self.found[name]
        return SimpleNamespace(name=name)

    def observe(self, target: Any, **_: Any) -> Observed:
        found = self.found[target.name]
        if isinstance(found, threading.Event):
            found.wait()
        if isinstance(found, type):
            raise found("in the middle")
        found = () if isinstance(found, threading.Event) else tuple(found)
        return Observed(Observation(target.name, self.now, 0.1), found, self.unjudged)

    def watch(self, *names: str) -> dict[str, int]:
        return WatchTargetsOperator(task_id="watch", targets=list(names or self.found)).execute(context())

    def announce(self) -> dict[str, int]:
        return AnnounceOperator(task_id="announce").execute({"ti": self.runs})

    def later(self, minutes: float = 5) -> None:
        self.now += timedelta(minutes=minutes)

    def configure(self, **changes: Any) -> None:
        document = yaml.safe_load(self.file.read_text())
        self.file.write_text(yaml.safe_dump({**document, **changes}))


class Runs:
    """Airflow's answers about other runs."""

    def __init__(self) -> None:
        self.successes: int = 3
        self.states: dict[str, Any] = {"1": "failed"}  # or the status of an answer that says none

    def get_dr_count(self, dag_id: str, *, states: list[str]) -> int:
        assert states == ["success"]
        return self.successes

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        if isinstance(self.states[run_id], int):
            detail = {"status_code": self.states[run_id]}
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))
        return self.states[run_id]


@pytest.fixture
def world(lab, database, monkeypatch) -> World:
    world = World(database, lab.folder)
    world.configure(
        inventory={"conn_id": "inventory"},
        alerts={"warning": [{"notifier": PIGEON, "subject": "{{ alert.subject }}"}]},
    )
    monkeypatch.setattr(Pigeon, "sent", [])
    monkeypatch.setattr(watch, "utc_now", lambda: world.now)
    monkeypatch.setattr(
        "backstop.wiring.open_inventory", lambda configuration, _: configuration.inventory and world.inventory
    )
    monkeypatch.setattr(WatchedTargets, "open", lambda _, name: world.open(name))
    monkeypatch.setattr(observe, "observe_target", world.observe)
    return world


def subjects() -> list[str]:
    return [one.subject for one in Pigeon.sent]


def test_a_planted_finding_is_told_once_and_its_end_once(world):
    world.found["calibrify"] = [finding()]
    for _ in range(3):
        world.watch()
        world.announce()
        world.later()
    world.found["calibrify"] = []
    for _ in range(4):
        world.watch()
        world.announce()
        world.later()

    assert subjects() == [
        "[critical] calibrify: the slot of calibrify is wrong",
        "[over: critical] calibrify: the slot of calibrify is wrong",
    ]
    assert world.findings.open() == ()


def test_what_was_seen_is_kept_for_pages_and_metrics(world):
    world.found["plain"] = [finding("plain", level=Level.WARNING)]
    counts = world.watch()

    assert counts == {"targets": 2, "critical": 0, "warning": 1}
    assert [one.target for one in world.observations.all()] == ["calibrify", "plain"]


def test_a_look_whose_findings_could_not_be_kept_is_not_shown_as_a_good_one(world, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise SourceUnavailableError("it went away")

    world.found["calibrify"] = [finding()]
    with monkeypatch.context() as broken:
        broken.setattr(Findings, "advance", fail)
        with pytest.raises(SourceUnavailableError, match="it went away"):
            world.watch("calibrify")

    assert world.observations.all() == ()


def test_a_target_that_cannot_be_opened_is_a_finding_and_keeps_no_other_from_being_watched(world):
    world.found["calibrify"] = [finding()]
    world.watch()
    before = world.observations.of("calibrify")
    world.later()
    world.found = {
        "calibrify": ConfigurationError("Airflow has no connection 'b'", hint="create it"),
        "plain": [finding("plain")],
    }
    for _ in range(4):
        world.watch()
        world.later()

    by_target = {(one.finding.target, one.finding.check) for one in world.findings.open()}
    # Nobody could judge the slot: what was found stays, and so does what was seen.
    assert by_target == {("calibrify", "watch"), ("calibrify", "slot"), ("plain", "slot")}
    assert world.observations.of("calibrify") == before


def test_a_target_that_hangs_is_a_finding_and_keeps_no_other_from_being_entered(world, monkeypatch):
    gone_on = threading.Event()
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.5)
    world.found = {"calibrify": gone_on, "plain": [finding("plain")]}
    try:
        world.watch()
    finally:
        gone_on.set()

    (one,) = world.findings.open("calibrify")
    assert "cannot be watched: it took more than" in one.finding.sentence
    assert world.findings.open("plain")
    assert [one.target for one in world.observations.all()] == ["plain"]


def test_a_target_that_cannot_be_entered_turns_the_task_red_after_the_others_were(world, monkeypatch):
    enter = watch._enter

    def picky(observed: Observed, *given: Any, **more: Any) -> None:
        if observed.observation.target == "calibrify":
            raise ValueError("secret")
        enter(observed, *given, **more)

    monkeypatch.setattr(watch, "_enter", picky)
    world.found["plain"] = [finding("plain")]

    with pytest.raises(Exception, match="calibrify could not be entered: unexpected ValueError"):
        world.watch()
    assert world.findings.open("plain")


def test_a_mistake_of_ours_while_looking_at_one_target_is_a_finding_too(world):
    world.found = {"calibrify": ZeroDivisionError, "plain": [finding("plain")]}
    world.watch()

    sentences = [one.finding.sentence for one in world.findings.open("calibrify")]
    assert sentences == ["calibrify cannot be watched: unexpected ZeroDivisionError"]
    assert world.findings.open("plain")


def test_a_target_that_has_gone_since_the_dag_was_read_is_passed_over_and_the_log_says_so(world, capsys):
    assert world.watch("gone", "plain")["targets"] == 1
    assert "gone is not in targets.yaml here, and is not looked at" in capsys.readouterr().out


def test_an_inventory_that_does_not_answer_turns_the_task_red(world, monkeypatch):
    def refuse() -> None:
        raise SourceUnavailableError("nobody answers")

    monkeypatch.setattr(world.inventory, "migrate", refuse)

    with pytest.raises(SourceUnavailableError):
        world.watch()
    with pytest.raises(SourceUnavailableError):
        world.announce()


def test_without_an_inventory_findings_are_in_the_log_and_nobody_is_told(world, monkeypatch):
    log = Mock()
    monkeypatch.setattr(WatchTargetsOperator, "log", log)
    world.configure(inventory=None)
    world.found["plain"] = [finding("plain")]

    assert world.watch()["critical"] == 1
    assert str(finding("plain")) in [str(one.args[-1]) for one in log.warning.call_args_list]
    with pytest.raises(AirflowSkipException):
        world.announce()


def test_a_broken_notifier_turns_the_task_red_after_the_others_were_told(world):
    world.configure(alerts={"critical": [{"notifier": "tests.notifying.Lost"}, {"notifier": PIGEON}]})
    world.found["plain"] = [finding("plain")]
    world.watch()

    with pytest.raises(AirflowException, match="did not come back"):
        world.announce()
    assert len(Pigeon.sent) == 1


def test_without_any_notifier_the_log_is_told_and_pages_know_that(world, caplog):
    world.configure(alerts={})
    world.found["plain"] = [finding("plain")]
    world.watch()

    assert world.announce()["told"] == 1
    assert "[critical] plain: the slot of plain is wrong" in caplog.text


def test_findings_of_a_target_that_targets_yaml_has_no_longer_close_without_a_word(world):
    world.found["plain"] = [finding("plain")]
    world.watch()
    world.findings.report(finding("gone"), now=world.now)
    world.findings.report(finding(EVERY_TARGET), now=world.now)
    world.announce()

    assert {one.finding.target for one in world.findings.open()} == {"plain", EVERY_TARGET}


def failed(world: World, **facts: Any) -> Finding:
    run = finding(check="run", subject="back_up_database__calibrify")
    world.findings.report(run, now=world.now, facts={"run_id": "1", **facts})
    return run


def settle(world: World) -> tuple[int, int]:
    settled = close_mended_runs(world.findings, world.runs, now=world.now)
    return settled.mended, settled.forgotten


def test_a_failed_run_is_over_with_the_next_success_of_its_dag(world):
    failed(world, successes=3)
    assert settle(world) == (0, 0)

    world.runs.successes = 4
    assert settle(world) == (1, 0)
    assert world.findings.open() == ()


def test_a_failed_run_is_over_when_it_has_been_cleared_and_succeeded(world):
    failed(world)
    world.runs.states["1"] = "success"

    assert settle(world) == (1, 0)


def test_where_no_worker_could_count_the_successes_the_watch_does(world):
    failed(world)
    assert settle(world) == (0, 0)
    assert world.findings.open()[0].facts["successes"] == 3

    world.runs.successes = 4
    assert settle(world) == (1, 0)


def test_a_procedure_that_somebody_started_is_not_waited_for_for_ever(world):
    failed(world, successes=3, by_hand=True)
    world.later(FORGET_BY_HAND.total_seconds() / 60)

    assert settle(world) == (0, 1)


def test_a_dag_that_neither_fails_nor_succeeds_for_weeks_is_not_there_any_more(world):
    failed(world, successes=3)
    world.later((FORGET - timedelta(hours=1)).total_seconds() / 60)
    assert settle(world) == (0, 0)

    world.later(60)
    assert settle(world) == (0, 1)


def test_old_runs_that_airflow_has_removed_do_not_keep_a_mended_failure_open(world):
    failed(world, successes=30)
    world.runs.successes = 29  # by `airflow db clean`, every night
    assert settle(world) == (0, 0)

    world.runs.successes = 30
    assert settle(world) == (1, 0)


def test_while_airflow_does_not_say_how_a_run_stands_everything_else_is_told(world):
    failed(world, successes=3)
    world.runs.states["1"] = 500
    world.found["plain"] = [finding("plain")]
    world.watch()

    assert world.announce()["mended_runs"] == 0
    assert "[critical] plain: the slot of plain is wrong" in subjects()


@pytest.mark.parametrize(
    ("state", "over"), [("running", 0), ("success", 1), ("failed", 1), (404, 1), (500, 0)]
)
def test_a_missed_objective_is_over_when_its_restore_has_ended(world, state, over):
    run = replace(failed(world), subject="objective of restore_database")
    world.findings.drop(failed(world), now=world.now)
    facts = {"run_id": "1", "until_ended": True, "dag_id": "restore_database"}
    world.findings.report(run, now=world.now, facts=facts)
    world.runs.states["1"] = state

    assert settle(world) == (over, 0)


def test_a_failing_operator_tells_people_wherever_it_is_used():
    from backstop.notifications.runs import task_failed
    from backstop.operators.check import CheckObjectsOperator

    for operator in (
        CheckObjectsOperator(task_id="check", target="calibrify", repository="local"),
        WatchTargetsOperator(task_id="watch", targets=[]),
        AnnounceOperator(task_id="announce"),
    ):
        assert operator.on_failure_callback == [task_failed]


def as_directory(world, **files):
    """The same targets as a file each, and these."""
    document = yaml.safe_load(world.file.read_text())
    targets = document.pop("targets")
    directory = world.file.parent / "targets"
    directory.mkdir(mode=0o700)
    (directory / "backstop.yaml").write_text(yaml.safe_dump(document))
    for name, section in targets.items():
        (directory / f"{name}.yaml").write_text(yaml.safe_dump({"targets": {name: section}}))
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


def look_at_files() -> dict[str, int]:
    return WatchConfigurationOperator(task_id="check_configuration").execute(context())


def test_a_target_whose_file_is_wrong_is_found_told_and_over_when_it_is_mended(world, monkeypatch):
    monkeypatch.setattr("backstop.operators.watch_configuration.utc_now", lambda: world.now)
    directory = as_directory(world, web="targets: [")
    monkeypatch.setenv("BACKSTOP_TARGETS", str(directory))
    world.findings.advance([finding("web")], targets=["web"], now=world.now)

    assert look_at_files() == {"files": 1, "targets": 3}
    world.watch("calibrify", "plain", "web")
    world.announce()

    opened = {(one.finding.target, one.finding.check): one.finding for one in world.findings.open()}
    assert opened["web", "configuration"].level is Level.CRITICAL
    assert f"{directory}/web.yaml:" in opened["web", "configuration"].sentence
    assert ("web", "slot") in opened, "what was wrong before is not over because nobody looks"

    (directory / "web.yaml").write_text((directory / "plain.yaml").read_text().replace("plain:", "web:"))
    for _ in range(3):
        world.later()
        assert look_at_files() == {"files": 0, "targets": 3}
        world.announce()
    assert [one.finding.check for one in world.findings.open()] == ["slot"]


def test_the_watch_of_a_target_does_not_close_what_is_wrong_with_its_file_elsewhere(world, monkeypatch):
    monkeypatch.setattr("backstop.operators.watch_configuration.utc_now", lambda: world.now)
    wrong = finding("plain", "configuration", "plain.yaml")
    world.findings.advance([wrong], targets=["plain"], now=world.now)

    for _ in range(4):
        world.later()
        world.watch("plain")

    assert [one.finding.check for one in world.findings.open()] == ["configuration"]


def test_backups_that_a_target_left_behind_are_told_of_until_they_are_gone_or_described(world, lab):
    left = lab.folder / "left"
    manifest = left / "blog/meta/manifests/20261121T010000Z-dump.json"
    manifest.parent.mkdir(mode=0o700, parents=True)
    manifest.write_text("{}")
    document = yaml.safe_load(world.file.read_text())
    world.configure(repositories={**document["repositories"], "left": {"type": "posix", "path": str(left)}})
    at_files = finding(EVERY_TARGET, "configuration", "x.yaml")
    world.findings.advance([at_files], targets=[EVERY_TARGET], now=world.now)

    world.watch("calibrify")
    # Whose turn it is not leaves it alone.
    for _ in range(4):
        world.later()
        world.watch("plain")

    found = {
        one.finding.check: one.finding for one in world.findings.open() if one.finding.target == EVERY_TARGET
    }
    assert found.keys() == {"configuration", "undescribed"}
    assert "blog (1 backup" in found["undescribed"].sentence

    manifest.unlink()
    for _ in range(4):
        world.later()
        world.watch("calibrify")
    assert [one.finding.check for one in world.findings.open()] == ["configuration"]


def test_while_a_file_is_wrong_nobody_says_whose_backups_are_left_behind(world, monkeypatch, lab):
    manifest = lab.folder / "left/web/meta/manifests/20261121T010000Z-dump.json"
    manifest.parent.mkdir(mode=0o700, parents=True)
    manifest.write_text("{}")
    document = yaml.safe_load(world.file.read_text())
    left = {"type": "posix", "path": str(lab.folder / "left")}
    world.configure(repositories={**document["repositories"], "left": left})
    monkeypatch.setenv("BACKSTOP_TARGETS", str(as_directory(world, web="targets: [")))

    world.watch("calibrify", "plain")

    assert world.findings.open() == ()
