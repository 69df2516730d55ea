from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backstop.commands.trees.plan import TreeSwapError
from backstop.errors import ConfigurationError, NotFoundError, RestoreError, SourceError
from backstop.model.canonical import format_time
from backstop.operators.approval import RESTORE_TAKES, plan_digest
from backstop.operators.asset import tree_backups
from backstop.operators.files import BackUpFilesOperator
from backstop.operators.note import NOTE
from backstop.operators.restore_files import (
    ApproveFilesRestoreOperator,
    PlanFilesRestoreOperator,
    RestoreFilesBesideOperator,
    StopDryRunOperator,
    SwapFilesOperator,
    ValidateFilesOperator,
)
from backstop.operators.swap_back_files import PlanFilesSwapBackOperator, SwapBackFilesOperator
from backstop.settings.arguments import utc_now
from tests.operators.lab import context


@pytest.fixture
def tree(lab):
    """The lab's file tree; nothing of it is backed up yet."""
    (lab.tree / "deep").mkdir(parents=True)
    (lab.tree / "app.conf").write_text("port = 1\n")
    (lab.tree / "deep" / "secret").write_text("secret\n")
    return lab.tree


def back_up(told=None):
    time.sleep(1.0 - time.time() % 1.0)  # a label has one second
    operator = BackUpFilesOperator(task_id="back_up", target="calibrify", tree="config")
    return operator.carry_out(told or context())


# -- Backing up ----------------------------------------------------------------------------------------------


def test_whoever_waits_for_backups_is_told_and_the_note_says_what_has_changed(tree):
    back_up()
    (tree / "app.conf").write_text("port = 2\n")
    (tree / "new").write_text("new\n")
    told = context()

    report = back_up(told)

    assert json.loads(json.dumps(report)) == report
    assert report["repositories"] == {"local": "completed", "far": "completed"}
    assert told["outlet_events"][tree_backups("calibrify", "config")].extra == {
        "label": report["label"],
        "repositories": report["repositories"],
    }
    note = told["ti"].pushed[NOTE]
    assert note.startswith(f"`{report['label']}`: 1 new, 1 changed")
    assert f"- `changed {tree}/app.conf`" in note


def test_a_note_is_never_longer_than_airflow_keeps(tree):
    back_up()
    for number in range(60):
        (tree / f"{number}-{'x' * 100}").touch()
    told = context()

    back_up(told)

    assert len(told["ti"].pushed[NOTE]) <= 1000


def test_a_run_that_changes_have_woken_is_skipped_when_they_are_backed_up_already(tree):
    back_up(context(run_type="asset_triggered"))

    with pytest.raises(AirflowSkipException, match="in its newest backup already"):
        back_up(context(run_type="asset_triggered"))

    (tree / "app.conf").write_text("port = 2\n")
    assert back_up(context(run_type="asset_triggered"))["changed_files"] == 1
    assert back_up(context(run_type="scheduled"))["changed_files"] == 0


def test_a_tree_that_is_gone_is_refused_however_the_run_was_started(tree):
    back_up()
    tree.rename(tree.with_name("away"))

    for run_type in ("manual", "asset_triggered"):
        with pytest.raises(SourceError, match="is not there"):
            back_up(context(run_type=run_type))


def test_a_tree_that_does_not_exist_is_answered_with_those_that_do(tree):
    with pytest.raises(NotFoundError, match="did you mean 'config'"):
        BackUpFilesOperator(task_id="x", target="calibrify", tree="confg").carry_out(context())


# -- Planning and consent ------------------------------------------------------------------------------------


def plan(by="ann", **arguments):
    operator = PlanFilesRestoreOperator(
        task_id="plan", **{"target": "calibrify", "tree": "config", "only": [], **arguments}
    )
    result = operator.carry_out(context(by=by))
    assert json.loads(json.dumps(result)) == result
    return result


def approval_of(planned, *, mode=None, age=timedelta(0)):
    return {
        "plan_sha256": plan_digest(planned),
        "approved_by": "bob",
        "approved_at": format_time(utc_now() - age),
        "mode": mode or planned["mode"],
    }


def step(operator, planned, approval=None, **more):
    given = {
        "target": "calibrify",
        "plan": planned,
        "approval": approval_of(planned) if approval is None else approval,
        "swapped": None,
        **more,
    }
    return operator(task_id="step", **given).carry_out(context())


def restore(planned):
    restored = step(RestoreFilesBesideOperator, planned)
    assert json.loads(json.dumps(restored)) == restored
    validated = step(ValidateFilesOperator, planned, restored=restored)
    return step(SwapFilesOperator, planned, restored=restored, validated=validated)


def test_a_plan_says_what_would_become_of_the_live_files(tree):
    label = back_up()["label"]
    (tree / "app.conf").write_text("port = 22\n")
    (tree / "later").touch()

    planned = plan(backup=label)

    assert (planned["label"], planned["repository"], planned["mode"]) == (label, "local", "swap")
    assert (planned["adds"], planned["deletes"]) == (0, 1)
    assert f"deletes {tree}/later" in planned["samples"]
    assert planned["chosen_by"] == "ann"


def test_a_backup_is_found_by_label_time_or_as_the_latest(tree):
    first = back_up()["label"]
    between = format_time(utc_now())
    second = back_up()["label"]

    assert plan()["label"] == second
    assert plan(backup=first)["label"] == first
    assert plan(backup=between)["label"] == first
    assert plan(backup=second, repository="far")["repository"] == "far"
    with pytest.raises(NotFoundError, match="no backup of config by"):
        plan(backup="2020-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mode": "cut over"}, "mode 'cut over' is not possible"),
        ({"mode": "elsewhere"}, "elsewhere, but where"),
        ({"destination": "conf"}, "no absolute path"),
        ({"only": [1]}, "no list of paths"),
        ({"backup": "yesterday"}, "neither a backup's label nor a time"),
    ],
)
def test_what_an_api_caller_cannot_mean_is_refused_before_anything_is_read(tree, arguments, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        plan(**arguments)


def test_a_dry_run_ends_with_the_plan_and_needs_no_consent(tree):
    back_up()
    planned = plan(mode="dry run")

    with pytest.raises(AirflowSkipException, match="would add 0"):
        StopDryRunOperator(task_id="stop", target="calibrify", plan=planned).carry_out(context())
    StopDryRunOperator(task_id="stop", target="calibrify", plan=plan()).carry_out(context())


def approve(planned, **event):
    operator = ApproveFilesRestoreOperator(task_id="approve", plan=planned, choice=planned)
    return operator.execute_complete(context(), event) if event else operator.execute(context())


def answered(name, option="Approve"):
    return {"responded_by_user": {"id": "7", "name": name}, "chosen_options": [option], "params_input": {}}


def test_whoever_asked_cannot_approve_and_a_copy_elsewhere_needs_nobody(tree, lab):
    back_up()
    planned = plan()

    with pytest.raises(AirflowFailException, match=r"ann asked .* live files of calibrify was not touched"):
        approve(planned, **answered("ann"))
    assert approve(planned, **answered("bob"))["approved_by"] == "bob"
    elsewhere = plan(destination=f"{lab.folder}/elsewhere")
    assert elsewhere["mode"] == "elsewhere"
    assert approve(elsewhere)["approved_by"] == "not required by policy"


def test_the_approver_reads_what_changes_and_what_is_given_up(tree):
    back_up()
    planned = plan(only=[f"{tree}/app.conf"])
    operator = ApproveFilesRestoreOperator(task_id="approve", plan=planned, choice=planned)

    headline, lines = operator.words(utc_now())

    assert headline == f"Replace 1 paths of config of calibrify by backup {planned['label']}?"
    text = "\n".join(lines)
    assert "**not proven**" in text
    assert f"`{tree}/app.conf`: 1 files" in text
    assert "add 0, change 0, delete 0" in text


# -- Restoring -----------------------------------------------------------------------------------------------


def test_a_tree_comes_back_as_it_was_and_the_former_one_is_kept_and_can_come_back(tree, lab):
    back_up()
    (tree / "app.conf").write_text("port = 2\n")
    (tree / "deep" / "secret").unlink()

    outcome = restore(plan())

    assert (tree / "app.conf").read_text() == "port = 1\n"
    assert (tree / "deep" / "secret").read_text() == "secret\n"
    assert lab.reloaded.exists()
    [kept] = outcome["kept"]
    assert (Path(kept) / "app.conf").read_text() == "port = 2\n"

    lab.reloaded.unlink()
    planned = PlanFilesSwapBackOperator(task_id="p", target="calibrify", tree="config").carry_out(context())
    assert json.loads(json.dumps(planned)) == planned
    step(SwapBackFilesOperator, planned)
    assert (tree / "app.conf").read_text() == "port = 2\n"
    assert lab.reloaded.exists()
    with pytest.raises(RestoreError, match="swapped again since"):
        step(SwapBackFilesOperator, planned)


def test_a_copy_elsewhere_touches_nothing_live_and_leaves_no_way_back(tree, lab):
    back_up()
    (tree / "app.conf").write_text("port = 2\n")

    restore(plan(destination=f"{lab.folder}/elsewhere"))

    assert (tree / "app.conf").read_text() == "port = 2\n"
    assert not lab.reloaded.exists()
    assert "port = 1\n" in [one.read_text() for one in (lab.folder / "elsewhere").rglob("app.conf")]
    with pytest.raises(NotFoundError, match="nothing is known here of a swap"):
        PlanFilesSwapBackOperator(task_id="p", target="calibrify", tree="config").carry_out(context())


@pytest.mark.parametrize("undo", [True, False])
def test_a_command_that_fails_is_red_and_says_which_files_are_live(tree, lab, undo):
    lab.tree_rules = {"after_restore": [["sh", "-c", "echo broken; exit 3"]], "undo_on_failure": undo}
    lab.write()
    back_up()
    (tree / "app.conf").write_text("port = 2\n")

    with pytest.raises(TreeSwapError, match="broken") as failed:
        restore(plan())

    if undo:
        assert "the former files are back" in str(failed.value)
        assert (tree / "app.conf").read_text() == "port = 2\n"
        return
    assert "the restored files are live" in str(failed.value)
    assert (tree / "app.conf").read_text() == "port = 1\n"
    lab.tree_rules = {"after_restore": []}
    lab.write()
    planned = PlanFilesSwapBackOperator(task_id="p", target="calibrify", tree="config").carry_out(context())
    step(SwapBackFilesOperator, planned)
    assert (tree / "app.conf").read_text() == "port = 2\n"


@pytest.mark.parametrize(
    "approval",
    [
        {},
        {
            "approved_by": "bob",
            "approved_at": format_time(utc_now()),
            "mode": "swap",
            "plan_sha256": "0" * 64,
        },
    ],
)
def test_without_consent_to_exactly_this_plan_nothing_is_restored(tree, approval):
    back_up()
    planned = plan()

    with pytest.raises(RestoreError, match="nobody approved this plan"):
        step(RestoreFilesBesideOperator, planned, approval)
    assert [path.name for path in tree.parent.glob(".*")] == []


def test_an_approval_that_is_used_too_old_or_for_a_copy_replaces_nothing(tree):
    back_up()
    (tree / "app.conf").write_text("port = 2\n")
    planned = plan()
    restored = step(RestoreFilesBesideOperator, planned)
    validated = step(ValidateFilesOperator, planned, restored=restored)
    beside = {"restored": restored, "validated": validated}

    with pytest.raises(RestoreError, match="its approval is used up"):
        step(SwapFilesOperator, planned, **beside, swapped={"label": "x"})
    with pytest.raises(RestoreError, match="nothing was touched"):
        step(SwapFilesOperator, planned, approval_of(planned, age=RESTORE_TAKES * 3), **beside)
    with pytest.raises(RestoreError, match="only a copy beside"):
        step(SwapFilesOperator, planned, approval_of(planned, mode="elsewhere"), **beside)
    assert (tree / "app.conf").read_text() == "port = 2\n"


def test_what_was_not_validated_is_not_swapped_though_tasks_were_marked_by_hand(tree):
    back_up()
    planned = plan()

    with pytest.raises(RestoreError, match="nothing was restored beside"):
        step(ValidateFilesOperator, planned, restored=None)
    restored = step(RestoreFilesBesideOperator, planned)
    with pytest.raises(RestoreError, match="was not validated"):
        step(SwapFilesOperator, planned, restored=restored, validated=None)
    with pytest.raises(RestoreError, match="was not validated"):
        step(SwapFilesOperator, planned, restored=restored, validated={"files": 2})


def test_a_copy_that_was_changed_beside_is_found_before_it_is_swapped(tree):
    back_up()
    planned = plan()
    restored = step(RestoreFilesBesideOperator, planned)
    [copy] = [path for path in tree.parent.rglob("app.conf") if path.parent != tree]
    copy.write_text("port = 9\n")

    with pytest.raises(RestoreError, match="is not what was backed up"):
        step(ValidateFilesOperator, planned, restored=restored)
