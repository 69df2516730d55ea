"""Who asked and who answered is in the inventory, whatever came of it; without it, nothing is held up."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from backstop.hooks.target import TargetHook
from backstop.model.decision import Answer
from backstop.operators.approval import ApproveRestoreOperator, plan_digest
from backstop.repository.decisions import Decisions
from backstop.repository.inventory import Inventory
from backstop.targets.database import Restore
from tests.operators.lab import context

pytestmark = pytest.mark.integration

PLAN = {"target": "calibrify", "database": "calibrify", "beside": "calibrify_restored"}


class Approve(ApproveRestoreOperator):
    """The policy by default, and a headline instead of a whole plan's."""

    policy = Restore()

    def rules(self):
        return self.policy

    def words(self, now):
        return "Replace calibrify by a copy?", []


@pytest.fixture
def inventory(database, lab, monkeypatch):
    made = Inventory(database)
    monkeypatch.setattr(TargetHook, "inventory", lambda hook: made)
    return made


def task(mode="swap"):
    return Approve(task_id="approve", plan=PLAN, choice={"mode": mode, "chosen_by": "ann"})


def asked(by="ann"):
    made = context(by=by)
    made["dag_run"] = SimpleNamespace(
        triggering_user_name=by, run_type="manual", dag_id="restore_database", run_id=f"run of {by}"
    )
    return made


def answered(name, option="Approve"):
    return {"responded_by_user": {"id": "7", "name": name}, "chosen_options": [option], "params_input": {}}


NAMELESS = {**answered(""), "responded_by_user": None}


def kept(inventory):
    return Decisions(inventory.connection).newest()


def test_an_approval_is_kept_with_who_asked_who_answered_and_for_which_plan(inventory):
    task().execute_complete(asked(), answered("bob"))

    (decision,) = kept(inventory)
    assert (decision.asked_by, decision.answered_by, decision.answer) == ("ann", "bob", Answer.APPROVED)
    assert (decision.target, decision.procedure) == ("calibrify", "restore")
    assert decision.question == "Replace calibrify by a copy?"
    assert decision.plan_sha256 == plan_digest(PLAN)
    assert (decision.dag_id, decision.run_id) == ("restore_database", "run of ann")


@pytest.mark.parametrize(
    ("event", "answer", "by", "because"),
    [
        (answered("bob", "Reject"), Answer.REJECTED, "bob", "bob rejected the restore"),
        (answered("Ann"), Answer.REFUSED, "Ann", "Ann asked for this restore and cannot approve it too"),
        (NAMELESS, Answer.REFUSED, "", "the answer has no name to it"),
        ({"error": "timed out"}, Answer.UNANSWERED, "", "nobody answered within 1:00:00"),
    ],
)
def test_an_answer_that_stops_the_run_is_kept_too(inventory, event, answer, by, because):
    with pytest.raises(AirflowFailException):
        task().execute_complete(asked(), event)

    (decision,) = kept(inventory)
    assert (decision.answer, decision.asked_by, decision.answered_by) == (answer, "ann", by)
    assert decision.because.startswith(because)


def test_that_nobody_was_asked_is_kept_as_well(inventory):
    task(mode="beside").execute(asked())

    assert [one.answer for one in kept(inventory)] == [Answer.NOT_REQUIRED]


def test_an_inventory_that_does_not_answer_holds_nothing_up_and_is_said(
    inventory, database, monkeypatch, capsys
):
    gone = Inventory(replace(database, dbname="nothing"))
    monkeypatch.setattr(TargetHook, "inventory", lambda hook: gone)

    approval = task().execute_complete(asked(), answered("bob"))

    assert approval["approved_by"] == "bob"
    assert "This decision is not in the inventory" in capsys.readouterr().out


def test_the_same_decision_told_twice_is_one(inventory):
    task().execute_complete(asked(), answered("bob"))
    decisions = Decisions(inventory.connection)
    (decision,) = kept(inventory)

    decisions.record(decision)

    assert kept(inventory) == [decision]
    assert json.loads(json.dumps(decision.to_dict()))["answer"] == "approved"


def test_decisions_are_listed_the_newest_first_of_one_target_or_of_all(inventory):
    for by in ("bob", "carol"):
        task().execute_complete(asked(by=f"asked for {by}"), answered(by))
    decisions = Decisions(inventory.connection)

    assert [one.answered_by for one in decisions.newest("calibrify")] == ["carol", "bob"]
    assert [one.answered_by for one in decisions.newest(limit=1)] == ["carol"]
    assert decisions.newest("other") == []
