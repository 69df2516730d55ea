"""A plan as it is shown, approved and made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backstop.commands.recovery.summary import point_of, require_same, summary
from backstop.errors import RestoreError
from backstop.model.recovery import RecoveryTarget, plan_recovery
from tests.model.recovering import base, minute, plain_cluster, promoted_cluster

NOW = minute(60)


def planned(cluster, target):
    plan = plan_recovery(target, cluster.sources(), now=NOW)
    document = summary(plan, target="calibrify", repository="s3", destination=Path("/srv/new"))
    return plan, json.loads(json.dumps(document))


@pytest.mark.parametrize(
    ("point", "inclusive"),
    [("latest", True), ("immediate", True), ("lsn:0/780000", False), (minute(7.25).isoformat(), True)],
)
def test_the_point_of_a_plan_leads_to_the_same_plan_again(point, inclusive):
    plan, document = planned(plain_cluster(), RecoveryTarget.parse(point, inclusive=inclusive))

    again, _ = planned(plain_cluster(), point_of(document))

    require_same(again, document)
    assert (again.chain, again.timeline, again.stop_lsn) == (plan.chain, plan.timeline, plan.stop_lsn)
    assert again.target.inclusive is inclusive


def test_a_newer_base_backup_does_not_change_what_was_approved():
    _, document = planned(plain_cluster(), RecoveryTarget.parse("latest"))
    cluster = plain_cluster()
    cluster.bases.append(base(8))

    again, _ = planned(cluster, point_of(document))

    require_same(again, document)
    assert again.chain == ("base-6",)


def test_a_plan_that_has_become_another_is_refused():
    _, document = planned(plain_cluster(), RecoveryTarget.parse("latest"))
    other, _ = planned(promoted_cluster(), RecoveryTarget.parse("latest"))

    with pytest.raises(RestoreError, match="would now be from base-10 on timeline 2") as refused:
        require_same(other, document)
    assert refused.value.hint == "plan it anew"
