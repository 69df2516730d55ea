"""Old backups go by the rules of the new ones, and never more of them than new ones were proven."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.legacy import LegacyBackup
from backstop.model.legacy_retention import Successor, retire
from backstop.model.retention import RetentionPolicy

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
MONTH = RetentionPolicy(keep_for=30 * DAY)


def old(days: float) -> LegacyBackup:
    """So many days ago."""
    at = NOW - days * DAY
    return LegacyBackup(
        tree="",
        repository="local",
        name=f"full_{at:%Y%m%d_%H%M%S}.sql.gz",
        location=f"/var/backups/full_{at:%Y%m%d_%H%M%S}.sql.gz",
        earliest_at=at,
        taken_at=at,
        size_bytes=1000,
        modified_at=at,
    )


def new(days: float) -> Successor:
    at = NOW - days * DAY
    return Successor(BackupLabel.at(at, BackupKind.DUMP), at)


def decided(files: list[LegacyBackup], proven: list[Successor], **changes: Any) -> dict[str, str]:
    """By name, ``""`` for what goes, else the reasons to keep it."""
    arguments: dict[str, Any] = {"policy": MONTH, "places_taken": {}, "now": NOW, **changes}
    return {
        decision.backup.name: "; ".join(decision.reasons) if decision.keep else ""
        for decision in retire(files, proven, **arguments)
    }


def gone(*arguments: Any, **changes: Any) -> int:
    return list(decided(*arguments, **changes).values()).count("")


def test_what_is_older_than_the_policy_goes_once_as_many_new_ones_are_proven():
    files = [old(days) for days in range(20, 50)]

    for proven in range(3, 12):
        assert gone(files, [new(days) for days in range(proven)]) == proven


def test_nothing_goes_before_the_first_few_new_ones_are_proven():
    files = [old(days) for days in range(31, 60)]

    assert gone(files, []) == 0
    kept = decided(files, [new(0), new(1)])
    assert "2 newer backups are proven, and 3 must be (min_proven)" in kept[files[-1].name]


def test_the_oldest_goes_first():
    files = [old(days) for days in range(40, 60)]

    kept = decided(files, [new(0), new(1), new(2)])

    assert [name for name, why in kept.items() if not why] == [old(days).name for days in (59, 58, 57)]
    assert "no proven new backup is left to take its place: 0 old ones" in kept[old(56).name]


def test_a_new_backup_takes_the_place_of_one_old_one_for_good():
    files = [old(days) for days in range(40, 60)]
    proven = [new(0), new(1), new(2), new(3)]

    taken = {proven[3].label: "", proven[2].label: ""}
    assert gone(files, proven, places_taken=taken) == 2
    assert gone(files, proven, places_taken={one.label: "" for one in proven}) == 0


def test_a_run_that_broke_off_is_finished_with_the_successor_it_had_chosen():
    files = [old(days) for days in range(40, 60)]
    proven = [new(0), new(1), new(2)]
    [first] = [one for one in retire(files, proven, policy=MONTH, places_taken={}, now=NOW) if not one.keep][
        :1
    ]

    again = retire(files, proven, policy=MONTH, places_taken={first.successor: first.backup.name}, now=NOW)

    assert again[0].successor == first.successor
    assert len({one.successor for one in again if not one.keep}) == 3


def test_the_newest_from_before_the_period_stays_until_a_new_one_is_that_old():
    files = [old(31), old(40), old(50)]

    kept = decided(files, [new(days) for days in range(9)])
    assert "newest from before the last 30 days" in kept[files[0].name]

    assert gone(files, [new(days) for days in range(31)]) == 3


def test_what_is_known_to_be_bad_takes_no_good_ones_place_in_any_rule():
    files = [old(35), old(40), old(50)]
    proven = [new(0), new(1), new(2)]

    kept = decided(files, proven, old_failed={files[0].name})

    assert "newest from before the last 30 days" in kept[files[1].name]
    assert kept[files[0].name] == ""


def test_counts_and_periods_count_old_and_new_together():
    files = [old(days) for days in (10, 20, 30, 60, 61, 100)]
    proven = [new(days) for days in range(6)]

    assert gone(files, proven, policy=RetentionPolicy(keep_last=8)) == 4
    monthly = decided(files, proven, policy=RetentionPolicy(monthly=3))
    assert list(monthly.values()) == [
        *["", ""],
        "it is the newest of its period (monthly: 3)",
        "it is the newest of its period (monthly: 3)",
        *["", ""],
    ]
    assert gone(files, proven, policy=RetentionPolicy(yearly=1, daily=1, weekly=1)) == 6


def test_old_proven_ones_count_among_the_newest_proven():
    files = [old(days) for days in (40, 50, 60)]
    proven = [new(1), new(2), new(3)]

    kept = decided(
        files, proven, policy=RetentionPolicy(keep_last=1, min_proven=4), old_proven={files[0].name}
    )

    assert "one of the newest 4 that are proven" in kept[files[0].name]


def test_in_a_period_a_proven_one_is_kept_before_a_newer_one():
    files = [old(40), old(41)]

    kept = decided(
        files,
        [new(0), new(1), new(2)],
        policy=RetentionPolicy(yearly=1, monthly=2, min_proven=1),
        old_proven={files[1].name},
    )

    assert "newest of its period" in kept[files[1].name]
    assert kept[files[0].name] == ""


def test_without_a_rule_everything_stays():
    assert gone([old(4000)], [new(days) for days in range(9)], policy=RetentionPolicy()) == 0


def test_when_new_backups_have_stopped_or_the_clock_jumps_nothing_goes():
    files = [old(days) for days in range(40, 60)]
    proven = [new(days) for days in range(9)]

    assert gone(files, proven) == 9
    for jump in (365, 8, -8, -400):
        kept = decided(files, proven, now=NOW + jump * DAY)
        assert "" not in kept.values()
        assert all("clock is wrong" in why for why in kept.values())


def test_what_the_name_dates_ahead_of_every_new_backup_stays():
    assert gone([old(-500)], [new(days) for days in range(9)], policy=RetentionPolicy(keep_last=1)) == 0


@given(
    st.sets(st.integers(0, 400), max_size=40),
    st.sets(st.integers(0, 60), max_size=40),
    st.integers(1, 100),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_whatever_there_is_no_more_go_than_are_proven_and_order_does_not_matter(
    ages: set[int], proven_ages: set[int], days: int, min_proven: int, random: Any
):
    files, proven = [old(age) for age in ages], [new(age) for age in proven_ages]
    policy = RetentionPolicy(keep_for=days * DAY, min_proven=min_proven)

    first = decided(files, proven, policy=policy)
    random.shuffle(files)
    random.shuffle(proven)

    assert decided(files, proven, policy=policy) == first
    assert list(first.values()).count("") <= len(proven)
    longer = decided(files, proven, policy=RetentionPolicy(keep_for=2 * days * DAY, min_proven=min_proven))
    assert {name for name, why in longer.items() if not why} <= {n for n, why in first.items() if not why}
