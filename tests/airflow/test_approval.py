"""Who may let a restore go on. In every other case the run is red and the live database untouched."""

from __future__ import annotations

import urllib.error
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from backstop.model.decision import Answer
from backstop.repository.decisions import Decisions
from embedded import databases
from embedded.demo import RESTORE, TARGET

if TYPE_CHECKING:
    from embedded.airflow_api import AirflowApi, Run
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600), pytest.mark.xdist_group("airflow")]


@dataclass
class Asked:
    """Restores that ``admin`` asked for all at once: most of each one's time is waiting."""

    scene: Scene
    runs: dict[str, Run]
    before: tuple[int, set[str]]

    def refusal(self, run: Run) -> str:
        """The run fails and nothing was touched; what its one failed task says."""
        assert self.scene.admin.wait(run) == "failed"
        assert (self.scene.live_oid(), self.scene.databases()) == self.before
        (sentence,) = self.scene.admin.failures(run)
        return sentence

    def answer(self, case: str, user: AirflowApi, task_id: str, option: str, **params: str) -> None:
        run = self.runs[case]
        user.question(run, task_id)
        user.answer(run, task_id, option, params)

    def answer_all(self) -> None:
        """Everybody says what they should not, at once: what comes of it takes Airflow its time."""
        admin, approver, label = self.scene.admin, self.scene.approver, self.scene.story.label
        chosen = {"backup": label, "mode": "swap", "repository": "any"}
        forged = {**chosen, "backup": "'; DROP DATABASE calibrify"}
        self.answer("by the chooser", approver, "choose_backup", "Plan this restore", **chosen)
        self.answer("rejected", approver, "approve", "Reject")
        self.answer("by the requester", admin, "approve", "Approve")
        self.answer("forged", admin, "choose_backup", "Plan this restore", **forged)
        self.answer("cancelled", admin, "choose_backup", "Cancel")
        admin.send("PATCH", f"{self.runs['marked'].path}/taskInstances/approve", {"new_state": "success"})
        self.answer("by the chooser", approver, "approve", "Approve")


@pytest.fixture(scope="module")
def asked(scene: Scene) -> Asked:
    before = (scene.live_oid(), scene.databases())
    to_be_approved = ("rejected", "by the requester", "marked")
    with_a_form = ("by the chooser", "forged", "cancelled")
    runs = {case: scene.ask_for_restore() for case in to_be_approved}
    runs |= {case: scene.admin.trigger(RESTORE, {"target": TARGET}) for case in with_a_form}
    # Each has asked its question before any test begins: one of them tightens the rules that asking reads.
    for case, run in runs.items():
        scene.admin.question(run, "approve" if case in to_be_approved else "choose_backup")
    asked = Asked(scene, runs, before)
    asked.answer_all()
    return asked


def test_a_rejected_restore_is_a_failed_run_that_names_who_rejected_it(asked: Asked) -> None:
    said = asked.refusal(asked.runs["rejected"])

    assert "approver rejected the restore; the live database of calibrify was not touched" in said


def test_whoever_asked_cannot_approve(asked: Asked) -> None:
    said = asked.refusal(asked.runs["by the requester"])

    assert "admin asked for this restore and cannot approve it too" in said
    assert "somebody else" in said


def test_whoever_chose_the_backup_cannot_approve_either(asked: Asked) -> None:
    said = asked.refusal(asked.runs["by the chooser"])

    assert "approver asked for this restore and cannot approve it too" in said


def test_who_asked_and_who_answered_is_in_the_inventory(asked: Asked) -> None:
    runs = {case: asked.runs[case] for case in ("rejected", "by the requester")}
    for run in runs.values():
        asked.refusal(run)

    known = Decisions(asked.scene.stack.metadata.connection(databases.INVENTORY)).newest(TARGET)
    answers = {one.run_id: (one.asked_by, one.answered_by, one.answer) for one in known}
    assert answers[runs["rejected"].run_id] == ("admin", "approver", Answer.REJECTED)
    assert answers[runs["by the requester"].run_id] == ("admin", "admin", Answer.REFUSED)
    # The restore of the demo, which a second person approved.
    assert ("admin", "approver", Answer.APPROVED) in answers.values()


def test_an_approval_that_somebody_marks_as_done_is_none(asked: Asked) -> None:
    said = asked.refusal(asked.runs["marked"])

    assert "nobody approved this plan for calibrify; nothing was touched" in said


def test_a_form_answered_with_something_it_did_not_offer_is_refused(asked: Asked) -> None:
    said = asked.refusal(asked.runs["forged"])

    assert "is not possible" in said
    assert asked.scene.story.label in said


def test_a_cancelled_form_is_a_failed_run(asked: Asked) -> None:
    said = asked.refusal(asked.runs["cancelled"])

    assert "admin cancelled the restore; nothing was touched" in said


def test_an_unanswered_restore_fails_in_time(asked: Asked) -> None:
    with asked.scene.rules(restore={"approval_timeout": "5s"}):
        run = asked.scene.ask_for_restore()

        assert "nobody answered within 0:00:05" in asked.refusal(run)


def test_a_target_that_does_not_exist_never_runs(asked: Asked) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        asked.scene.ask_for_restore(target="no such target")
