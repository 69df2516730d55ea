"""Another disaster each time: what was not rehearsed for the longest time comes first."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.drill_rotation import in_turn, scenarios_of

if TYPE_CHECKING:
    from backstop.model.scenario import Scenario

NOW = datetime(2026, 11, 26, tzinfo=timezone.utc)
EVERY = scenarios_of(database=True, trees=["config", "media"], repositories=["local", "s3"])


def names(scenarios: tuple[Scenario, ...]) -> list[str]:
    return [str(one) for one in scenarios]


def test_a_target_can_lose_all_of_it_each_repository_and_each_part() -> None:
    assert names(EVERY) == [
        "all", "repository:local", "repository:s3", "ransomware", "airflow", "database", "tree:config",
        "tree:media",
    ]  # fmt: skip


def test_the_only_repository_cannot_be_done_without() -> None:
    found = scenarios_of(database=False, trees=["media"], repositories=["local"])

    assert names(found) == ["all", "ransomware", "airflow", "tree:media"]


def test_what_was_never_rehearsed_comes_first_then_what_was_longest_ago() -> None:
    drilled = [
        (name, NOW - timedelta(days=days)) for name, days in (("all", 1), ("airflow", 60), ("all", 90))
    ]

    found = names(in_turn(EVERY, drilled))

    assert found[0] == "repository:local"
    assert found[-2:] == ["airflow", "all"]


def test_scenarios_that_are_gone_are_passed_over() -> None:
    assert in_turn(EVERY, [("tree:gone", NOW)]) == EVERY


@given(st.lists(st.sampled_from(range(len(EVERY))), max_size=40))
def test_whoever_always_takes_the_first_rehearses_each_within_one_round(drilled: list[int]) -> None:
    done = [(str(EVERY[number]), NOW + timedelta(days=day)) for day, number in enumerate(drilled)]
    seen = set()
    for day in range(len(EVERY)):
        first = in_turn(EVERY, done)[0]
        seen.add(first)
        done.append((str(first), NOW + timedelta(days=100 + day)))

    assert seen == set(EVERY)
