from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backstop.commands.recovery import cut_over as cutting
from backstop.commands.recovery.cut_over import CutOverOutcome
from backstop.commands.recovery.summary import result_document
from backstop.errors import (
    ConfigurationError,
    NotFoundError,
    RecoveryImpossibleError,
    RestoreError,
    SourceError,
)
from backstop.hooks.target import TargetHook
from backstop.model.canonical import format_time
from backstop.model.recovery import plan_recovery
from backstop.operators.approval import RESTORE_TAKES, plan_digest
from backstop.operators.recovery import (
    ApproveRecoveryOperator,
    CheckCutOverOperator,
    CutOverOperator,
    PlanRecoveryOperator,
    RecoverBesideOperator,
    StartClusterOperator,
    StopBesideRecoveryOperator,
)
from backstop.settings.arguments import utc_now
from tests.commands.test_cut_over import data_directory, result_of
from tests.model.recovering import minute, plain_cluster, promoted_cluster
from tests.operators.lab import SERVER, context


class Engine:
    """Stands for recoveries from repositories: what each holds, and what was recovered."""

    def __init__(self, monkeypatch):
        self.holds = {"local": plain_cluster(), "far": plain_cluster()}
        self.asked: list[str] = []
        self.ran: list[str] = []
        self.result = None
        engine = self

        def recovery(hook, repository, destination, progress):
            def plan(goal):
                engine.asked.append(repository)
                if repository not in engine.holds:
                    raise NotFoundError(f"no repository {repository!r}")
                return plan_recovery(goal, engine.holds[repository].sources(), now=minute(60))

            def run(plan):
                engine.ran.append(f"{repository} to {destination}")
                return engine.result

            return SimpleNamespace(plan=plan, run=run)

        monkeypatch.setattr(TargetHook, "recovery", recovery)


@pytest.fixture
def engine(lab, monkeypatch):
    return Engine(monkeypatch)


def plan(**arguments):
    operator = PlanRecoveryOperator(task_id="plan", **{"target": "calibrify", "point": "latest", **arguments})
    result = operator.carry_out(context())
    assert json.loads(json.dumps(result)) == result
    return result


# -- Planning ------------------------------------------------------------------------------------------------


def test_the_first_repository_that_leads_there_is_taken(engine, lab):
    assert plan()["repository"] == "local"

    engine.holds["local"] = plain_cluster().without(7, 8, 9)
    planned = plan(point="lsn:0/980000", mode="cut over")

    assert planned["repository"] == "far"
    assert engine.asked == ["local", "local", "far"]
    assert planned["replaces"] == str(lab.live)
    assert planned["chosen_by"] == "ann"
    assert planned["destination"].startswith(f"{lab.folder}/recovered/calibrify-")


def test_a_named_repository_is_the_only_one_that_is_asked(engine):
    assert plan(repository="far")["repository"] == "far"
    assert engine.asked == ["far"]

    engine.holds["far"] = plain_cluster().without(7, 8, 9)
    with pytest.raises(RecoveryImpossibleError):
        plan(repository="far", point="lsn:0/980000")
    assert "local" not in engine.asked


def test_where_no_repository_leads_there_the_first_one_says_why(engine):
    engine.holds["local"] = plain_cluster().without(7, 8, 9)
    engine.holds["far"] = plain_cluster().without(5)

    with pytest.raises(RecoveryImpossibleError) as refused:
        plan(point="2026-11-30T00:00:00Z")
    assert engine.asked == ["local", "far"]
    assert "nearest" in str(refused.value)


def test_a_base_backup_and_a_timeline_can_be_named(engine):
    engine.holds["local"] = promoted_cluster()
    planned = plan(base="base-2", timeline="1")

    assert (planned["chain"], planned["timeline"]) == (["base-2"], 1)


def test_a_mode_that_does_not_exist_is_refused_before_anything_is_read(engine):
    with pytest.raises(ConfigurationError, match="mode 'swap' is not possible") as refused:
        plan(mode="swap")
    assert refused.value.hint == "choose: beside, cut over"
    assert engine.asked == []


def test_a_cut_over_that_nobody_described_is_refused_while_planning(engine, lab):
    lab.write(cutover=None)

    with pytest.raises(ConfigurationError, match=r"no cluster\.recovery\.cutover"):
        plan(mode="cut over")
    assert plan(mode="beside")["replaces"] is None


# -- Consent -------------------------------------------------------------------------------------------------


def approve(planned, **event):
    operator = ApproveRecoveryOperator(task_id="approve", plan=planned, choice=planned)
    if event:
        return operator.execute_complete(context(), event)
    return operator.execute(context())


def answered(name, option="Approve"):
    return {"responded_by_user": {"id": "7", "name": name}, "chosen_options": [option], "params_input": {}}


def test_whoever_asked_for_a_cut_over_cannot_approve_it(engine):
    planned = plan(mode="cut over")

    with pytest.raises(AirflowFailException, match=r"ann asked .* live cluster of calibrify was not touched"):
        approve(planned, **answered("ann"))

    given = approve(planned, **answered("bob"))
    assert (given["approved_by"], given["mode"]) == ("bob", "cut over")
    assert given["plan_sha256"] == plan_digest(planned)


def test_a_rejected_cut_over_goes_no_further(engine):
    with pytest.raises(AirflowFailException, match="bob rejected"):
        approve(plan(mode="cut over"), **answered("bob", "Reject"))


def test_a_copy_beside_needs_no_consent_and_a_cut_over_does(engine, lab):
    assert approve(plan(mode="beside"))["approved_by"] == "not required by policy"

    lab.write(approval=False)
    assert approve(plan(mode="cut over"))["approved_by"] == "not required by policy"


def test_the_approver_reads_what_is_replaced_and_what_is_given_up(engine, lab):
    planned = plan(mode="cut over")
    operator = ApproveRecoveryOperator(task_id="approve", plan=planned, choice=planned)

    headline, lines = operator.words(utc_now())

    assert headline == "Replace the cluster of calibrify by its state at latest?"
    text = "\n".join(lines)
    assert f"`{lab.live}` is kept beside" in text
    assert "committed after that point" in text
    assert "unprotected until a new full base backup" in text
    assert "base backup `base-6` in repository `local`" in text


# -- Recovering ----------------------------------------------------------------------------------------------


def approval_of(planned, *, mode="cut over", age=None):
    at = utc_now() - age if age else utc_now()
    return {
        "plan_sha256": plan_digest(planned),
        "approved_by": "bob",
        "approved_at": format_time(at),
        "mode": mode,
    }


def step(operator, planned, approval, **more):
    given = {"target": "calibrify", "plan": planned, "approval": approval, "swapped": None, **more}
    return operator(task_id="step", **given).carry_out(context())


def test_what_was_approved_is_recovered_from_the_repository_of_the_plan(engine, lab):
    planned = plan(mode="cut over")
    engine.result = replace(result_of(data_directory(lab.folder / "new", "18")), healed=("one segment",))

    result = step(RecoverBesideOperator, planned, approval_of(planned))

    assert engine.ran == [f"local to {planned['destination']}"]
    assert json.loads(json.dumps(result)) == result
    assert result["data"] == str(lab.folder / "new")


def test_a_plan_that_has_changed_since_it_was_approved_is_not_carried_out(engine):
    planned = plan(mode="cut over")
    engine.holds["local"] = replace(plain_cluster(), bases=plain_cluster().bases[:1])
    with pytest.raises(RestoreError):
        step(RecoverBesideOperator, planned, approval_of(planned))

    other = {**planned, "chain": ["base-2", "base-6"]}
    engine.holds["local"] = plain_cluster()
    with pytest.raises(RestoreError, match="would now be from base-6 on timeline 1"):
        step(RecoverBesideOperator, other, approval_of(other))
    assert engine.ran == []


def test_without_consent_to_exactly_this_plan_nothing_is_recovered(engine):
    planned = plan(mode="cut over")

    for approval in (None, approval_of({**planned, "point": "immediate"})):
        with pytest.raises(RestoreError, match="nobody approved this plan"):
            step(RecoverBesideOperator, planned, approval)
    assert engine.ran == []


def test_a_copy_beside_ends_the_run_with_where_it_is(engine):
    beside, replacing = plan(mode="beside"), plan(mode="cut over")

    with pytest.raises(AirflowSkipException, match=beside["destination"]):
        StopBesideRecoveryOperator(task_id="stop", target="calibrify", plan=beside).carry_out(context())
    StopBesideRecoveryOperator(task_id="stop", target="calibrify", plan=replacing).carry_out(context())


# -- Cutting over --------------------------------------------------------------------------------------------


@pytest.fixture
def recovered(lab):
    """A live data directory and a recovered one beside it."""
    data_directory(lab.live, "former")
    return result_document(result_of(data_directory(lab.folder / "new", "recovered")))


@pytest.fixture
def slots(monkeypatch):
    """The slots that were reserved; the server is never asked."""
    made = []
    monkeypatch.setattr(cutting, "reserve_slot", lambda cluster, slot: made.append((cluster, slot)))
    return made


@pytest.mark.parametrize("operator", [CheckCutOverOperator, CutOverOperator])
def test_without_a_validated_cluster_nothing_is_cut_over(engine, lab, recovered, slots, operator):
    planned = plan(mode="cut over")

    with pytest.raises(RestoreError, match="nothing was recovered and validated") as refused:
        step(operator, planned, approval_of(planned), recovered=None)
    assert "recover_beside" in refused.value.hint
    assert not lab.stopped.exists()


@pytest.mark.parametrize("operator", [CheckCutOverOperator, CutOverOperator])
def test_leave_to_recover_beside_is_not_leave_to_replace(engine, lab, recovered, slots, operator):
    planned = plan(mode="beside")

    with pytest.raises(RestoreError, match="only a copy beside"):
        step(operator, planned, approval_of(planned, mode="beside"), recovered=recovered)
    assert not lab.stopped.exists()


@pytest.mark.parametrize("operator", [CheckCutOverOperator, CutOverOperator])
def test_an_approval_that_was_used_or_has_grown_old_is_none(engine, lab, recovered, slots, operator):
    planned = plan(mode="cut over")

    with pytest.raises(RestoreError, match="its approval is used up"):
        step(operator, planned, approval_of(planned), recovered=recovered, swapped={"live": "x"})
    old = approval_of(planned, age=RESTORE_TAKES * 3)
    with pytest.raises(RestoreError, match="nothing was touched"):
        step(operator, planned, old, recovered=recovered)
    assert not lab.stopped.exists()


def test_a_directory_that_was_not_validated_is_found_before_the_server_is_stopped(engine, lab, recovered):
    planned = plan(mode="cut over")
    step(CheckCutOverOperator, planned, approval_of(planned), recovered=recovered)

    other = {**recovered, "data_inode": recovered["data_inode"] + 1}
    with pytest.raises(RestoreError, match="not the directory that was validated"):
        step(CheckCutOverOperator, planned, approval_of(planned), recovered=other)
    assert not lab.stopped.exists()


def test_a_cut_over_puts_it_in_place_and_reserves_the_slot_again(engine, lab, recovered, slots):
    planned = plan(mode="cut over")

    outcome = step(CutOverOperator, planned, approval_of(planned), recovered=recovered)

    assert (lab.live / "PG_VERSION").read_text() == "recovered"
    assert outcome["live"] == str(lab.live)
    assert "-before-" in outcome["kept"]
    assert lab.stopped.exists()
    assert lab.started.exists()
    assert slots == [(SERVER, "backstop_calibrify")]


def test_a_slot_that_cannot_be_made_does_not_undo_a_cut_over(engine, lab, recovered, monkeypatch, capsys):
    def refuse(cluster, slot):
        raise SourceError("all slots are in use")

    monkeypatch.setattr(cutting, "reserve_slot", refuse)
    planned = plan(mode="cut over")

    outcome = step(CutOverOperator, planned, approval_of(planned), recovered=recovered)

    assert CutOverOutcome(**outcome).live == str(lab.live)
    said = capsys.readouterr().out
    assert "Slot backstop_calibrify could not be made: all slots are in use" in said


def test_after_a_cut_over_that_came_to_its_end_the_server_is_left_alone(lab):
    start = StartClusterOperator(task_id="start", target="calibrify", checked=None, outcome={"live": "x"})
    start.carry_out(context())

    assert not lab.started.exists()


def test_after_a_cut_over_that_was_killed_a_whole_directory_is_live_and_started(lab):
    former = lab.live.with_name("data-before-20261123T120000Z")
    data_directory(former, "former")

    checked = {"live_inode": former.stat().st_ino}
    start = StartClusterOperator(task_id="start", target="calibrify", checked=checked, outcome=None)
    start.carry_out(context())

    assert (lab.live / "PG_VERSION").read_text() == "former"
    assert lab.started.exists()
