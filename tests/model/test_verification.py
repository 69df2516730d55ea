"""What is unproven is worked off, newest first, as often as the policy says."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.backup import BackupLabel
from backstop.model.verification import Candidate, in_turn, work_list

MONDAY = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)


def candidate(days: float, repository: str = "s3", *, verified: bool = False) -> Candidate:
    finished_at = MONDAY + timedelta(days=days)
    label = BackupLabel(finished_at.strftime("%Y%m%dT%H%M%SZ-dump"))
    return Candidate(label, repository, finished_at, verified)


def test_each_lists_everything_unverified_newest_first():
    old, new, done = candidate(0), candidate(2), candidate(1, verified=True)

    assert work_list([old, done, new], policy="each") == [new, old]


def test_daily_takes_the_newest_of_each_day_and_repository():
    morning, noon = candidate(0), candidate(0.5)
    elsewhere = candidate(0, "local")

    assert work_list([morning, noon, elsewhere], policy="daily") == [noon, elsewhere]


def test_a_week_with_a_verified_backup_is_done():
    monday, tuesday = candidate(0, verified=True), candidate(1)
    next_monday = candidate(7)

    assert work_list([monday, tuesday, next_monday], policy="weekly") == [next_monday]


@pytest.mark.parametrize("policy", ["daily", "weekly"])
def test_what_is_to_take_anothers_place_is_verified_also_where_its_period_is_done(policy):
    old = candidate(0, verified=True)
    new = replace(candidate(0.01), reencrypted=True)

    assert work_list([old, new], policy=policy) == [new]
    assert work_list([old, replace(new, verified=True)], policy=policy) == []


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="each, daily or weekly"):
        work_list([candidate(0)], policy="hourly")


candidates = st.lists(
    st.builds(candidate, st.floats(0, 60), st.sampled_from(["s3", "local"]), verified=st.booleans()),
    max_size=30,
)


@given(candidates, st.sampled_from(["each", "daily", "weekly"]), st.randoms())
def test_the_order_of_input_does_not_matter_and_nothing_verified_is_listed(listed, policy, random):
    shuffled = list(listed)
    random.shuffle(shuffled)

    chosen = work_list(listed, policy=policy)

    assert [(c.repository, c.finished_at) for c in chosen] == [
        (c.repository, c.finished_at) for c in work_list(shuffled, policy=policy)
    ]
    assert not any(c.verified for c in chosen)


def test_many_backups_of_one_kind_do_not_keep_another_kind_waiting():
    many, few = [candidate(day) for day in range(3)], [candidate(9)]

    assert in_turn([many, [], few]) == [many[0], few[0], many[1], many[2]]
