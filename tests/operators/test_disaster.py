"""Recovering from a disaster by tasks: what is asked of whom, and what a cleared or marked task does.

The incident and its journal are real, in two repositories; the file tree that is lost is too.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskAwaitingInput, TaskDeferred

from backstop.commands.progress import Silent
from backstop.commands.trees.backup import back_up_files
from backstop.hooks.target import TargetHook
from backstop.model.access import AccessRole
from backstop.model.incident import EventKind
from backstop.operators import disaster_approval, disaster_left_out, disaster_telling
from backstop.operators.disaster import (
    AssessDisasterOperator,
    ListComponentsOperator,
    PrepareInfrastructureOperator,
    RecordIncidentOperator,
    RecoverComponentOperator,
    ValidateRecoveryOperator,
)
from backstop.operators.disaster_approval import ChooseRecoveryOperator
from backstop.operators.disaster_declaration import DeclareDisasterOperator
from backstop.operators.disaster_telling import TellOperator, TellProgressOperator, who
from backstop.settings.arguments import utc_now
from backstop.settings.trees import tree_backup_settings
from tests.notifying import PIGEON, Pigeon
from tests.operators.lab import context

if TYPE_CHECKING:
    from pathlib import Path

TREE = "tree:config"


class Scene:
    """A target whose files are backed up and then lost, and one run of the DAG, task by task."""

    def __init__(self, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab, self.run = lab, "manual__1"
        self.states: dict[str, str] = {}
        self.tries: dict[str, int] = {}
        self.rules: dict[str, Any] = {}
        for module in (disaster_left_out, disaster_telling):
            monkeypatch.setattr(module, "states_of", lambda *_: dict(self.states))
        lab.tree.mkdir()
        (lab.tree / "app.conf").write_text("workers = 4\n")
        self.write()
        hook = TargetHook("plain", AccessRole.RESTORER)
        repositories = hook.tree_repositories("config")
        back_up_files(
            target="plain",
            tree="config",
            repositories=repositories,
            keyring=hook.keyring(),
            signer=hook.signer("manifest"),
            settings=tree_backup_settings(hook.configuration, "plain", "config", repositories),
            clock=utc_now,
            holder="test",
            progress=Silent(),
        )

    def write(self, **rules: Any) -> None:
        """targets.yaml: ``plain`` with a tree and these rules for disasters."""
        path = self.lab.folder / "targets.yaml"
        document = yaml.safe_load(path.read_text())
        target = document["targets"]["plain"]
        target["trees"] = {"config": {"paths": [str(self.lab.tree)], "repositories": ["local", "far"]}}
        self.rules = {"stakeholders": [{"notifier": PIGEON, "subject": "{{ alert.subject }}"}], **rules}
        target["disaster"] = {"validation": {}, **self.rules}
        path.write_text(yaml.safe_dump(document))

    def lose(self) -> None:
        shutil.rmtree(self.lab.tree)

    @property
    def file(self) -> Path:
        return self.lab.tree / "app.conf"

    def context(self, task_id: str, *, by: str = "ann") -> dict[str, Any]:
        made = context(by=by)
        made["ti"].run_id, made["ti"].task_id = self.run, task_id
        made["ti"].try_number = self.tries.get(task_id, 1)
        made["dag_run"].run_after = self.began
        return made

    def declare(self, **fields: Any) -> dict[str, Any]:
        self.began = utc_now()
        operator = DeclareDisasterOperator(
            task_id="declare", **{"target": "plain", "what": "the disk died", "components": [], **fields}
        )
        self.incident = operator.execute(self.context("declare"))
        return self.incident

    def assess(self) -> dict[str, Any]:
        operator = AssessDisasterOperator(task_id="assess", target="plain", incident=self.incident)
        return operator.execute(self.context("assess"))

    def ask(self) -> tuple[ChooseRecoveryOperator, dict[str, Any]]:
        """The form, and what travels with the waiting task."""
        operator = ChooseRecoveryOperator(task_id="approve", target="plain", incident=self.incident)
        with pytest.raises(TaskAwaitingInput) as waiting:
            operator.execute({**self.context("approve"), "task_instance": SimpleNamespace(id="1")})
        return operator, waiting.value.kwargs or {}

    def answer(
        self,
        asked: dict[str, Any],
        by: str | None,
        option: str = "newest",
        chosen: str = "Recover",
        **more: Any,
    ) -> dict[str, Any]:
        event = {
            "chosen_options": [chosen],
            "params_input": {"option": option, **more},
            "responded_by_user": {"id": by, "name": by} if by else None,
        }
        fresh = ChooseRecoveryOperator(task_id="approve", target="plain", incident=self.incident)
        self.approval = fresh.execute_complete(self.context("approve"), event, **asked)
        return self.approval

    def approved(self, *, by: str = "bob") -> dict[str, Any]:
        self.declare()
        self.assess()
        return self.answer(self.ask()[1], by)

    def recover(self, *, redo: tuple[str, ...] = ()) -> dict[str, Any]:
        operator = RecoverComponentOperator(
            task_id="recover",
            target="plain",
            incident=self.incident,
            approval=self.approval,
            component=TREE,
            redo=list(redo),
        )
        return operator.execute(self.context("recover"))

    def tell(self, moment: str) -> dict[str, str]:
        operator = TellOperator(
            task_id=f"tell_{moment}", target="plain", incident=self.incident, moment=moment
        )
        return operator.execute(self.context(f"tell_{moment}"))

    def validate(self, item: str = "functionality") -> dict[str, Any]:
        operator = ValidateRecoveryOperator(
            task_id="validate", target="plain", incident=self.incident, item=item
        )
        return operator.execute(self.context("validate"))

    def record(self) -> dict[str, Any]:
        operator = RecordIncidentOperator(task_id="record", target="plain", incident=self.incident)
        return operator.execute(self.context("record"))

    @property
    def journal(self) -> Any:
        return (
            TargetHook("plain", AccessRole.RESTORER).disasters(by="test").open(self.incident["incident_id"])
        )

    def step(self, name: str) -> dict[str, Any]:
        return next(one for one in self.journal.status()["steps"] if one["step"] == name)

    def events(self, kind: EventKind) -> list[Any]:
        return [event.data for event in self.journal.events() if event.kind is kind]


@pytest.fixture
def scene(lab, monkeypatch):
    monkeypatch.setattr(Pigeon, "sent", [])
    monkeypatch.setattr(
        disaster_approval.HITLOperator,
        "execute",
        lambda self, context: (_ for _ in ()).throw(
            TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)
        ),
    )
    scene = Scene(lab, monkeypatch)
    scene.lose()
    return scene


# -- Declaring and assessing ---------------------------------------------------------------------------------


def test_the_clock_runs_from_when_it_was_noticed(scene):
    noticed = "2026-11-26T14:20:00Z"

    assert scene.declare(noticed_at=noticed)["declared_at"].startswith("2026-11-26T14:20:00")


def test_a_run_declares_once_however_often_its_task_is_cleared(scene):
    first = scene.declare()

    assert scene.declare() == first
    assert len(scene.events(EventKind.DECLARED)) == 1


def test_a_second_disaster_of_a_target_is_not_declared_beside_an_open_one(scene):
    known = scene.declare()["incident_id"]
    scene.run = "manual__2"

    with pytest.raises(AirflowFailException, match=f"open incident: {known}"):
        scene.declare()
    assert scene.declare(incident_id=known)["incident_id"] == known


def test_what_is_wrong_in_the_form_is_named(scene):
    with pytest.raises(AirflowFailException, match="is no time with its zone"):
        scene.declare(noticed_at="yesterday")
    with pytest.raises(AirflowFailException, match="no component 'tree:nothing'"):
        scene.declare(components=["tree:nothing"])


def test_the_assessment_finds_what_is_gone_and_changes_nothing(scene):
    scene.declare()

    found = scene.assess()

    assert found["lost"] == [TREE]
    assert "newest" in found["options"]
    assert not scene.lab.tree.exists()


# -- Choosing and approving ----------------------------------------------------------------------------------


def test_the_form_shows_what_is_lost_the_options_and_who_cannot_answer(scene):
    scene.declare()
    scene.assess()

    operator, asked = scene.ask()

    assert "files (config) | **gone**" in operator.body
    assert "| files (config) from `" in operator.body
    assert "**ann** cannot answer it." in operator.body
    assert asked["offered"][0] == "newest"
    field = operator.params.get_param("option")
    assert field.schema["enum"] == asked["offered"]
    assert "recommended" in field.schema["values_display"]["newest"]


def test_waiting_for_people_is_in_the_journal_as_what_it_is(scene):
    scene.approved()

    assert len(scene.events(EventKind.WAIT_BEGAN)) == 1
    assert scene.events(EventKind.WAIT_ENDED) == [{"by": "bob"}]
    assert scene.journal.status()["waited_seconds"] > 0


@pytest.mark.parametrize(
    ("by", "chosen", "said"),
    [
        ("bob", "Cancel", "bob cancelled the recovery; nothing was touched, and the incident stays open"),
        ("ann", "Recover", "ann asked for this recovery and cannot approve it too"),
        ("Ann", "Recover", "Ann asked for this recovery and cannot approve it too"),
        (None, "Recover", "the answer has no name to it"),
    ],
)
def test_an_answer_that_lets_nothing_go_on_touches_nothing(scene, by, chosen, said):
    scene.declare()
    scene.assess()
    _, asked = scene.ask()

    with pytest.raises(AirflowFailException, match=said):
        scene.answer(asked, by, chosen=chosen)

    assert not scene.lab.tree.exists()
    assert scene.events(EventKind.CHOSEN) == []
    assert len(scene.events(EventKind.WAIT_ENDED)) == 1
    assert scene.journal.status()["closed_at"] is None


def test_one_person_alone_goes_on_only_where_policy_lets_them_and_says_why(scene):
    scene.write(break_glass=True)
    scene.declare()
    scene.assess()
    operator, asked = scene.ask()
    assert operator.params.get_param("alone_because") is not None

    with pytest.raises(AirflowFailException, match="did not say why they go on alone"):
        scene.answer(asked, "ann", alone_because=" ")
    approval = scene.answer(asked, "ann", alone_because="nobody answers the phone")

    assert approval["alone_because"] == "nobody answers the phone"
    assert any("break glass" in data["text"] for data in scene.events(EventKind.NOTED))


def test_an_option_that_was_not_offered_is_refused(scene):
    scene.declare()
    scene.assess()
    _, asked = scene.ask()

    with pytest.raises(AirflowFailException, match="option 'rm -rf /' is not possible"):
        scene.answer(asked, "bob", option="rm -rf /")


def test_an_answer_to_an_older_assessment_counts_for_nothing(scene):
    scene.declare()
    scene.assess()
    _, asked = scene.ask()
    scene.assess()

    with pytest.raises(AirflowFailException, match="was assessed anew while the form was open"):
        scene.answer(asked, "bob")


def test_without_approval_by_policy_the_recommended_way_is_taken(scene):
    scene.write(approval=False)
    scene.declare()
    scene.assess()

    operator = ChooseRecoveryOperator(task_id="approve", target="plain", incident=scene.incident)
    approval = operator.execute(scene.context("approve"))

    assert (approval["option"], approval["order"]) == ("newest", [TREE])


def test_a_choice_that_somebody_marks_as_done_is_none(scene):
    scene.declare()
    scene.approval = None

    for step in (
        lambda: ListComponentsOperator(
            task_id="l", target="plain", incident=scene.incident, approval=None
        ).execute(scene.context("l")),
        lambda: PrepareInfrastructureOperator(
            task_id="i", target="plain", incident=scene.incident, approval=None
        ).execute(scene.context("i")),
        scene.recover,
    ):
        with pytest.raises(AirflowFailException, match="nobody chose and approved a way back"):
            step()
    assert not scene.lab.tree.exists()


# -- Recovering ----------------------------------------------------------------------------------------------


def test_what_was_chosen_comes_back_and_progress_is_told(scene):
    scene.approved()

    done = scene.recover()

    assert scene.file.read_text() == "workers = 4\n"
    assert done["outcome"] == "passed"
    assert [pigeon.subject for pigeon in Pigeon.sent] == ["[plain] recovery goes on: the disk died"]


def test_a_recovery_task_that_is_cleared_does_not_undo_what_was_written_since(scene):
    scene.approved()
    scene.recover()
    scene.file.write_text("workers = 8\n")

    scene.tries["recover"] = 2
    scene.recover()
    assert scene.file.read_text() == "workers = 8\n"


def test_a_later_run_does_it_once_more_when_it_is_told_to_and_only_once(scene):
    scene.approved()
    scene.recover()
    scene.file.write_text("workers = 8\n")

    scene.run = "manual__2"
    scene.declare(incident_id=scene.incident["incident_id"])
    scene.recover(redo=(TREE,))
    assert scene.file.read_text() == "workers = 4\n"

    scene.file.write_text("workers = 16\n")
    scene.recover(redo=(TREE,))
    assert scene.file.read_text() == "workers = 16\n"


def test_a_component_that_fails_is_told_of_and_live_data_is_whole(scene, monkeypatch):
    scene.approved()
    for repository in ("local", "far"):
        for pack in (scene.lab.folder / repository).rglob("*.tar*"):
            pack.write_bytes(b"damaged")
        for pack in (scene.lab.folder / repository).rglob("packs/*"):
            if pack.is_file():
                pack.write_bytes(b"damaged")

    with pytest.raises(AirflowFailException):
        scene.recover()

    assert not scene.lab.tree.exists()
    assert scene.step(f"recover:{TREE}")["state"] == "failed"
    assert len(Pigeon.sent) == 1


def test_files_of_another_machine_are_not_restored_on_this_one(scene):
    scene.approved()
    path = scene.lab.folder / "targets.yaml"
    document = yaml.safe_load(path.read_text())
    document["targets"]["plain"]["trees"]["config"]["queue"] = "web1"
    path.write_text(yaml.safe_dump(document))

    with pytest.raises(AirflowFailException, match=r"belongs to workers of queue web1.*restore_files__web1"):
        scene.recover()
    assert not scene.lab.tree.exists()


def test_an_approval_for_another_plan_recovers_nothing(scene):
    scene.approved()
    scene.approval = {**scene.approval, "plan_sha256": "0" * 64}

    with pytest.raises(AirflowFailException, match="is not the one that is chosen now"):
        scene.recover()
    assert not scene.lab.tree.exists()


def test_an_approval_does_not_hold_for_ever(scene, monkeypatch):
    scene.approved()
    monkeypatch.setattr("backstop.settings.arguments.utc_now", lambda: later)
    later = utc_now() + timedelta(hours=25)

    with pytest.raises(AirflowFailException, match="held for 1 day"):
        scene.recover()


def test_a_task_that_is_marked_as_successful_leaves_its_step_out_and_the_journal_says_so(scene):
    scene.approved()
    scene.states = {"infrastructure": "success"}
    scene.recover()

    left = scene.step("infrastructure")
    assert left["state"] == "skipped"
    assert "marked as successful in Airflow, run manual__1" in left["sentence"]


# -- Validating, telling, recording --------------------------------------------------------------------------


def test_a_probe_that_is_answered_wrongly_is_red_and_asked_again_when_cleared(scene):
    flag = scene.lab.folder / "works"
    probe = {"name": "it works", "command": ["test", "-e", str(flag)]}
    scene.write(validation={"functionality": [probe]})
    scene.approved()
    scene.recover()

    with pytest.raises(AirflowFailException, match="it works"):
        scene.validate()
    flag.touch()
    assert scene.validate()["outcome"] == "passed"


def test_start_and_end_are_told_once_each_also_when_their_tasks_are_cleared(scene):
    scene.approved()
    for _ in range(2):
        scene.tell("start")
    scene.recover()
    for item in disaster_left_out.ITEMS:
        scene.validate(item)
    for _ in range(2):
        scene.tell("end")

    subjects = [pigeon.subject for pigeon in Pigeon.sent]
    assert subjects == [
        "[plain] recovery begins: the disk died",
        "[plain] recovery goes on: the disk died",
        "[plain] not everything is back: the disk died",  # the database's server is nowhere
    ]


def test_somebody_who_cannot_be_told_makes_the_telling_red_and_the_recovery_goes_on(scene):
    scene.write(stakeholders=[{"notifier": "tests.notifying.Lost"}])
    scene.approved()

    with pytest.raises(AirflowException, match="the pigeon did not come back"):
        scene.tell("start")

    assert scene.recover()["outcome"] == "passed"
    assert scene.step("tell:start")["state"] == "failed"
    for item in disaster_left_out.ITEMS:
        scene.validate(item)
    assert scene.record()["outcome"]
    assert scene.journal.status()["closed_at"] is not None


def test_progress_waits_in_the_triggerer_until_it_is_due_or_over(scene):
    scene.write(progress_every="15m")
    scene.approved()
    operator = TellProgressOperator(task_id="tell_progress", target="plain", incident=scene.incident)

    with pytest.raises(TaskDeferred) as waiting:
        operator.execute(scene.context("tell_progress"))
    asked = waiting.value.kwargs or {}
    assert asked["key"] == "period 1"
    with pytest.raises(TaskDeferred):
        operator.woken(scene.context("tell_progress"), {"ended": False}, **asked)
    assert [pigeon.subject for pigeon in Pigeon.sent] == ["[plain] recovery goes on: the disk died"]
    assert operator.woken(scene.context("tell_progress"), {"ended": True}) == {"untold": 0}


def test_progress_that_somebody_was_not_told_of_is_red_at_its_end(scene):
    scene.write(stakeholders=[{"notifier": "tests.notifying.Lost"}])
    scene.approved()
    operator = TellProgressOperator(task_id="tell_progress", target="plain", incident=scene.incident)

    with pytest.raises(TaskDeferred) as waiting:
        operator.woken(scene.context("tell_progress"), {"ended": False}, key="period 1")
    kept = waiting.value.kwargs or {}
    with pytest.raises(AirflowException, match="not everybody was told how it went on"):
        operator.woken(scene.context("tell_progress"), {"ended": True}, **kept)


def test_a_recovery_that_is_not_over_is_never_recorded_as_one(scene):
    scene.approved()

    with pytest.raises(AirflowFailException, match="stays open, it is not over: recover:tree:config"):
        scene.record()
    assert scene.journal.status()["closed_at"] is None


def test_a_probe_that_failed_keeps_the_incident_open(scene):
    scene.write(validation={"functionality": [{"name": "fails", "command": ["false"]}]})
    scene.approved()
    scene.recover()
    for item in disaster_left_out.ITEMS:
        if item != "functionality":
            scene.validate(item)
    with pytest.raises(AirflowFailException, match="fails"):
        scene.validate("functionality")

    with pytest.raises(AirflowFailException, match=r"it is not over: validate:functionality \(failed\)"):
        scene.record()
    assert scene.journal.status()["closed_at"] is None


def test_once_everything_is_back_the_incident_is_recorded_and_closed(scene):
    scene.approved()
    scene.recover()
    for item in disaster_left_out.ITEMS:
        scene.validate(item)

    outcome = scene.record()

    assert outcome["outcome"]
    assert scene.journal.status()["closed_at"] is not None
    assert scene.record()["incident_id"] == outcome["incident_id"]


def test_a_run_can_be_finished_by_hand_and_the_other_way_round(scene):
    scene.approved()
    by_hand = TargetHook("plain", AccessRole.RESTORER).disasters(by="carol").open()
    by_hand.recover(TREE)
    scene.file.write_text("workers = 8\n")

    assert scene.recover()["outcome"] == "passed"
    assert scene.file.read_text() == "workers = 8\n"
    assert who(scene.context("x")) == "ann"
