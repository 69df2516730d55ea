from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from backstop.errors import ConfigurationError, RestoreError
from backstop.operators.approval import RESTORE_TAKES, approval_needed, plan_digest, require_approval
from backstop.operators.people import require_requester, responder, same_person
from backstop.operators.wording import statements, subject
from backstop.targets.database import Restore
from tests.making import STARTED

PLAN = {
    "target": "calibrify",
    "repository": "local",
    "label": "20261123T010000Z-dump",
    "database": "calibrify",
    "beside": "calibrify_restored_20261123t010000z",
    "old": "calibrify_replaced_20261123t113000z",
    "owner": "calibrify_owner",
    "live_exists": True,
    "snapshot_at": "2026-11-22T01:00:00.000000Z",
    "proven_at": None,
    "server_version": 180004,
    "plain_bytes": 74_600_000,
    "stored_bytes": 25_000_000,
    "tables": 19,
    "rows": 347_720,
    "blockers": [],
    "warnings": ["this backup has never been proven by a restore"],
}


def triggered_by(name):
    return {"dag_run": SimpleNamespace(triggering_user_name=name)}


@pytest.mark.parametrize("name", [None, "", "   "])
def test_a_run_that_nobody_triggered_cannot_be_approved_by_somebody_else(name):
    with pytest.raises(ConfigurationError, match="who triggered this run"):
        require_requester(triggered_by(name))


def test_a_login_in_other_letters_is_the_same_person():
    assert same_person("Ann", "ann")
    assert not same_person("ann", "anne")


def test_an_answer_without_a_person_has_no_responder():
    assert responder({"responded_by_user": None}) == ""
    assert responder({}) == ""
    assert responder({"responded_by_user": {"id": "7", "name": "ann"}}) == "ann"


APPROVED_AT = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
RULES = Restore(approval_timeout=timedelta(hours=1))
APPROVAL = {
    "plan_sha256": plan_digest(PLAN),
    "approved_by": "ann",
    "approved_at": "2026-11-23T12:00:00.000000Z",
    "mode": "swap",
}


def require(plan, approval, *, after=timedelta(0), **step):
    require_approval(plan, approval, rules=RULES, now=APPROVED_AT + after, **step)


def test_an_approval_counts_for_exactly_the_plan_that_was_shown():
    require(PLAN, APPROVAL)

    other = {**PLAN, "label": "20261122T010000Z-dump"}
    with pytest.raises(RestoreError, match="nobody approved this plan"):
        require(other, APPROVAL)


@pytest.mark.parametrize(
    "approval",
    [None, {}, "yes", True, {"plan_sha256": None}, {"plan_sha256": plan_digest(PLAN), "approved_by": "ann"}],
)
def test_without_an_approval_nothing_goes_on(approval):
    with pytest.raises(RestoreError, match="nothing was touched"):
        require(PLAN, approval)


@pytest.mark.parametrize(
    ("mode", "step", "holds"),
    [
        ("swap", {"begins": True}, RULES.approval_timeout),
        ("beside", {"begins": True}, RULES.approval_timeout),
        ("swap", {}, RULES.approval_timeout + RESTORE_TAKES),
        ("swap", {"swapping": True}, RULES.approval_timeout + RESTORE_TAKES),
        ("swap_back", {"swapping": True}, RULES.approval_timeout),
    ],
)
def test_an_approval_that_has_grown_old_is_none(mode, step, holds):
    approval = {**APPROVAL, "mode": mode}
    require(PLAN, approval, after=holds, **step)

    with pytest.raises(
        RestoreError, match=r"of 2026-11-23T12:00:00\.000000Z and held for .*nothing was touched"
    ):
        require(PLAN, approval, after=holds + timedelta(seconds=1), **step)


def test_a_copy_beside_needs_no_consent_and_a_swap_does_where_policy_says_so():
    strict, trusting = SimpleNamespace(approval=True), SimpleNamespace(approval=False)

    assert approval_needed(strict, mode="swap")
    assert approval_needed(strict, mode="swap_back")
    assert not approval_needed(strict, mode="beside")
    assert not approval_needed(trusting, mode="swap")


def test_the_approver_is_told_what_is_given_up_and_that_nothing_is_proven():
    text = "\n".join(statements(PLAN, "swap", STARTED, stops_application=True))

    assert "committed in the last 24 h" in text
    assert "**not proven**" in text
    assert "`calibrify` is kept as `calibrify_replaced_20261123t113000z`" in text
    assert "- this backup has never been proven by a restore" in text
    assert "Replace the database of calibrify" in subject(PLAN, "swap")


def test_an_application_that_nobody_stops_is_not_said_to_be_stopped():
    text = "\n".join(statements(PLAN, "swap", STARTED, stops_application=False))

    assert "not stopped by us; every connection to the database is ended" in text


def test_where_the_live_database_is_gone_nothing_is_said_to_be_kept():
    text = "\n".join(statements({**PLAN, "live_exists": False}, "swap", STARTED, stops_application=True))

    assert "there is no `calibrify`" in text
    assert "kept" not in text
