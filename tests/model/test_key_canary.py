"""What follows from the newest check of the keys of a repository."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from backstop.model.finding import Level
from backstop.model.key_canary import KeyCanary, judge_canaries

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
GOOD = KeyCanary("calibrify", "s3", NOW - timedelta(hours=8), opened=4, closed=0)


def levels(*canaries: KeyCanary, since: dict[str, datetime] | None = None) -> dict[str, Level]:
    found = judge_canaries("calibrify", canaries, since=since or {}, now=NOW)
    return {one.subject: one.level for one in found}


@pytest.mark.parametrize(
    ("days", "level"),
    [(0, None), (2, None), (2.01, Level.WARNING), (4, Level.WARNING), (4.01, Level.CRITICAL)],
)
def test_a_check_that_is_overdue_is_a_warning_and_then_critical(days: float, level: Level | None) -> None:
    checked = replace(GOOD, checked_at=NOW - timedelta(days=days))

    assert levels(checked) == ({} if level is None else {"opening s3": level})


def test_what_does_not_open_is_critical_at_once_and_says_what_and_the_next_step() -> None:
    bad = replace(GOOD, opened=3, closed=1, said="the oldest dump: key k is disabled", step="enable it")

    (found,) = judge_canaries("calibrify", [bad], since={}, now=NOW)

    assert found.level is Level.CRITICAL
    assert found.check == "key"
    assert "1 of 4 objects" in found.sentence
    assert "the oldest dump: key k is disabled" in found.sentence
    assert found.next_step == "enable it"


def test_each_repository_is_judged_by_itself() -> None:
    bad = replace(GOOD, repository="local", closed=1)

    assert levels(GOOD, bad) == {"opening local": Level.CRITICAL}


def test_a_repository_that_is_left_out_of_the_checks_is_told_of() -> None:
    since = {"s3": NOW - timedelta(days=30), "local": NOW - timedelta(days=3), "new": NOW - timedelta(days=1)}

    assert levels(GOOD, since=since) == {"opening local": Level.WARNING}


def test_nothing_is_judged_before_the_first_check_of_a_target() -> None:
    assert levels(since={"s3": NOW - timedelta(days=30)}) == {}
