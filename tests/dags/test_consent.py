"""What the swap demands of the tasks before it, each of which somebody can mark as successful by hand."""

from __future__ import annotations

from typing import Any

import pytest

from backstop.errors import RestoreError
from backstop.operators.approval import NOT_REQUIRED, plan_digest, require_approval
from backstop.operators.swap import SwapDatabaseOperator

PLAN = {
    "target": "calibrify",
    "database": "calibrify",
    "beside": "calibrify_restored_20261123t010000z",
    "old": "calibrify_replaced_20261123t113000z",
}


def approval(mode: str, plan: dict[str, Any] = PLAN) -> dict[str, str]:
    return {"approved_by": "bob", "mode": mode, "plan_sha256": plan_digest(plan)}


def swap(**results: Any) -> SwapDatabaseOperator:
    return SwapDatabaseOperator(
        task_id="swap", target="calibrify", **{"plan": PLAN, "approval": None, "validated": None, **results}
    )


def test_an_approved_and_validated_copy_may_be_swapped_in():
    assert swap(approval=approval("swap"), validated={"database_oid": 16400}).require_consent() == 16400


def test_leave_to_make_a_copy_beside_is_no_leave_to_swap_it_in():
    # Whoever asked for a copy only, and then marks `stop_if_beside` as successful, was never approved.
    given = {**approval("beside"), "approved_by": NOT_REQUIRED}
    require_approval(PLAN, given)

    with pytest.raises(RestoreError, match="only a copy beside"):
        swap(approval=given, validated={"database_oid": 16400}).require_consent()


def test_a_validation_marked_as_successful_by_hand_is_none():
    with pytest.raises(RestoreError, match="never found equal"):
        swap(approval=approval("swap"), validated=None).require_consent()


def test_the_way_back_names_its_database_in_the_approved_plan():
    plan = {**PLAN, "database_oid": 16500}

    assert swap(plan=plan, approval=approval("swap_back", plan)).require_consent() == 16500


@pytest.mark.parametrize("given", [None, "null", {}, {"approved_by": "bob", "mode": "swap"}])
def test_an_approval_marked_as_successful_by_hand_is_none(given: Any):
    with pytest.raises(RestoreError, match="nobody approved this plan"):
        swap(approval=given, validated={"database_oid": 16400}).require_consent()
