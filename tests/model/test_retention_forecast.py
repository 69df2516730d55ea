"""When a backup probably goes: what its rules say, of what is there now."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.model.backup import BackupLabel
from backstop.model.retention import Candidate, apply_retention
from backstop.model.retention_forecast import Stored, forecast_leaving
from backstop.model.retention_policy import RetentionPolicy

NOW = datetime(2026, 11, 26, 14, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def dump(days_ago: int, *, proven: bool = True, **more: object) -> Stored:
    at = datetime(2026, 11, 26, 1, tzinfo=timezone.utc) - days_ago * DAY
    return Stored(f"{at:%Y%m%dT%H%M%SZ}-dump", at, proven, **more)


def forecast(backups, now=NOW, **rules):
    return forecast_leaving(backups, policy=RetentionPolicy(**rules), now=now)


def test_a_backup_goes_when_the_one_after_it_is_old_enough_to_stand_for_it():
    leaving = forecast([dump(days) for days in range(20, -1, -1)], keep_for=30 * DAY, min_proven=1)

    assert leaving[0].not_before == dump(19).finished_at + 30 * DAY
    assert leaving[0].because == "needed to go back 30 days (keep_for)"


def test_of_the_newest_no_end_is_in_sight():
    leaving = forecast([dump(1), dump(0)], keep_for=DAY)

    assert leaving[-1].not_before is None
    assert leaving[-1].because == "the newest"


def test_the_newest_proven_ones_stay_until_as_many_have_come():
    leaving = forecast([dump(days) for days in range(9, -1, -1)], keep_for=DAY, min_proven=3)

    assert leaving[-3].not_before == dump(0).finished_at + DAY
    assert leaving[-3].because == "one of the newest 3 that are proven (min_proven)"


def test_a_proven_one_outlives_failures_after_it():
    failing = [dump(2), *(dump(days, proven=False) for days in (1, 0))]

    assert forecast(failing, keep_for=DAY, min_proven=1)[0].not_before is None


def test_the_one_of_its_month_stays_as_many_months():
    months = [dump(days) for days in (56, 25, 0)]

    leaving = forecast(months, monthly=12, min_proven=1)

    assert leaving[0].not_before == datetime(2027, 10, 1, tzinfo=timezone.utc)
    assert leaving[0].because == "kept of its period (monthly: 12)"


def test_a_hold_outlasts_every_rule():
    backups = [dump(9, held_until=NOW + 400 * DAY), dump(8, held=True), dump(0)]

    leaving = forecast(backups, keep_for=DAY)

    assert (leaving[0].not_before, leaving[0].because) == (NOW + 400 * DAY, "held")
    assert (leaving[1].not_before, leaving[1].because) == (None, "held")


def test_what_an_incremental_one_builds_on_stays_as_long():
    chain = [dump(9), *(dump(days, builds_on_last=True) for days in (8, 7)), dump(0)]

    leaving = forecast(chain, keep_for=5 * DAY, min_proven=1)

    assert leaving[0].not_before == leaving[2].not_before
    assert leaving[0].because == f"needed by {chain[2].label}"


def test_without_a_rule_nothing_goes_and_that_is_said():
    leaving = forecast([dump(999), dump(0)], without_rules="nobody set any")

    assert [one.not_before for one in leaving] == [None, None]
    assert leaving[0].because == "nobody set any"


@pytest.mark.parametrize(
    "rules",
    [
        {"keep_for": 5 * DAY},
        {"keep_for": 5 * DAY, "weekly": 4, "monthly": 3},
        {"keep_last": 4, "daily": 6, "min_proven": 1},
    ],
)
def test_it_lets_go_now_what_retention_lets_go_now(rules):
    backups = [dump(days, proven=days % 4 != 1) for days in range(80, -1, -1)]
    plan = apply_retention(
        [
            Candidate(
                label=BackupLabel(one.label), system_id="1", finished_at=one.finished_at,
                snapshot_at=one.finished_at, stored_bytes=1, proven=one.proven,
            )
            for one in backups
        ],
        policies=lambda _: RetentionPolicy(**rules),
        now=NOW,
    )  # fmt: skip

    leaving = forecast(backups, **rules)

    gone = {one.label for one in leaving if one.not_before is not None and one.not_before <= NOW}
    assert gone == {label.text for label in plan.expired}
