"""What the swap demands of the tasks before it, each of which somebody can mark as successful by hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from backstop.errors import RestoreError
from backstop.operators.approval import NOT_REQUIRED, ApproveRestoreOperator, plan_digest, require_approval
from backstop.operators.restore import RestoreBesideOperator, ValidateRestoredOperator
from backstop.operators.swap import CheckSwapOperator, SwapDatabaseOperator
from backstop.settings.arguments import utc_now
from backstop.targets.database import Restore

PLAN = {
    "target": "calibrify",
    "database": "calibrify",
    "beside": "calibrify_restored_20261123t010000z",
    "old": "calibrify_replaced_20261123t113000z",
}


NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
RULES = Restore(approval_timeout=timedelta(hours=1))


def approval(mode: str, plan: dict[str, Any] = PLAN) -> dict[str, str]:
    return {
        "approved_by": "bob",
        "approved_at": "2026-11-23T11:59:00.000000Z",
        "mode": mode,
        "plan_sha256": plan_digest(plan),
    }


def swap(**results: Any) -> SwapDatabaseOperator:
    known = {"plan": PLAN, "approval": None, "validated": None, "swapped": None, **results}
    return SwapDatabaseOperator(task_id="swap", target="calibrify", **known)


def consent(task: SwapDatabaseOperator) -> int:
    task.require_consent(RULES, NOW)
    return task.require_validated()


def test_an_approved_and_validated_copy_may_be_swapped_in():
    assert consent(swap(approval=approval("swap"), validated={"database_oid": 16400})) == 16400


def test_leave_to_make_a_copy_beside_is_no_leave_to_swap_it_in():
    # Whoever asked for a copy only, and then marks `stop_if_beside` as successful, was never approved.
    given = {**approval("beside"), "approved_by": NOT_REQUIRED}
    require_approval(PLAN, given, rules=RULES, now=NOW)

    with pytest.raises(RestoreError, match="only a copy beside"):
        consent(swap(approval=given, validated={"database_oid": 16400}))


def test_a_validation_marked_as_successful_by_hand_is_none():
    with pytest.raises(RestoreError, match="never found equal"):
        consent(swap(approval=approval("swap"), validated=None))


def test_the_way_back_names_its_database_in_the_approved_plan():
    plan = {**PLAN, "database_oid": 16500}

    assert consent(swap(plan=plan, approval=approval("swap_back", plan))) == 16500


@pytest.mark.parametrize("given", [None, "null", {}, {"approved_by": "bob", "mode": "swap"}])
def test_an_approval_marked_as_successful_by_hand_is_none(given: Any):
    with pytest.raises(RestoreError, match="nobody approved this plan"):
        consent(swap(approval=given, validated={"database_oid": 16400}))


@pytest.mark.parametrize(
    "step", [RestoreBesideOperator, ValidateRestoredOperator, CheckSwapOperator, SwapDatabaseOperator]
)
def test_an_approval_is_used_up_by_one_swap(step: Any):
    task = step(task_id="again", target="calibrify", plan=PLAN, approval=approval("swap"), swapped=None)
    task.require_consent(RULES, NOW)

    task.swapped = {"live": "calibrify", "kept": PLAN["old"]}
    with pytest.raises(RestoreError, match="has swapped calibrify already, and its approval is used up"):
        task.require_consent(RULES, NOW)


def test_a_restore_must_begin_soon_and_may_then_take_its_time():
    later = NOW + timedelta(hours=2)
    begin, validate, swapping = (
        step(task_id="step", target="calibrify", plan=PLAN, approval=approval("swap"), swapped=None)
        for step in (RestoreBesideOperator, ValidateRestoredOperator, SwapDatabaseOperator)
    )

    validate.require_consent(RULES, later)
    swapping.require_consent(RULES, later)
    with pytest.raises(RestoreError, match="held for 1:00:00"):
        begin.require_consent(RULES, later)


def test_an_answer_is_an_approval_from_then_on():
    form = ApproveRestoreOperator(task_id="approve", plan=PLAN, choice={"mode": "swap"})
    before = utc_now()
    given = form._approval("bob")

    require_approval(PLAN, given, rules=RULES, now=utc_now(), begins=True)
    with pytest.raises(RestoreError, match="held for"):
        require_approval(PLAN, given, rules=RULES, now=before + timedelta(hours=1, minutes=5), begins=True)
