"""What stays: by age, by number, by period, because others need it; and every decision says why."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest

from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.retention import RetentionPolicy, apply_retention
from tests.model.retaining import (
    CLUSTER,
    NOW,
    OLD_CLUSTER,
    chain,
    days,
    dump,
    full,
    incremental,
    labels,
    planned,
    staying,
    tree,
    why,
)


def test_a_backup_older_than_keep_for_expires_and_the_reasons_name_the_rule_and_the_newer_proven_one():
    old, before, newest = dump(32), dump(31), dump(0)

    plan = planned([old, before, newest], keep_for=days(30))

    assert plan.expired == (old.label,)
    assert why(plan, old) == (
        f"{old.label}: expires: older than 30 days (keep_for); {newest.label} is newer and proven"
    )


def test_whatever_is_not_older_than_keep_for_stays():
    daily = [dump(age) for age in range(0, 60)]

    plan = planned(daily, keep_for=days(30))

    assert labels(*daily[:31]) <= staying(plan)


def test_the_newest_from_before_the_window_stays_so_that_its_first_moment_can_be_had():
    older, before, inside, newest = dump(33), dump(32), dump(20), dump(0)

    plan = planned([older, before, inside, newest], keep_for=days(30))

    assert plan.expired == (older.label,)
    assert "needed to go back so far (keep_for)" in why(plan, before)


def test_an_unproven_backup_from_before_the_window_does_not_take_the_place_of_a_proven_one():
    proven, unproven, newest = dump(33), dump(32, proven=False), dump(0)

    plan = planned([proven, unproven, newest], keep_for=days(30))

    assert plan.expired == ()
    assert "the newest proven one from before the last 30 days" in why(plan, proven)


def test_an_incomplete_backup_from_before_the_window_does_not_take_the_place_of_a_complete_one():
    complete, incomplete = dump(33), dump(32, needs=(dump(500).label,))

    plan = planned([complete, incomplete, dump(0)], keep_for=days(30))

    assert plan.expired == (incomplete.label,)


def test_a_dump_is_from_before_the_window_when_its_snapshot_is():
    before, running = dump(31), dump(29.98)

    assert planned([before, running, dump(0)], keep_for=days(30)).expired == (before.label,)


def test_a_dump_whose_snapshot_is_younger_than_the_window_does_not_hold_its_first_moment():
    before, later = dump(31), dump(29.9)

    assert planned([before, later, dump(0)], keep_for=days(30)).expired == ()


def test_keep_last_keeps_so_many_newest():
    dumps = [dump(age) for age in range(10)]

    plan = planned(dumps, keep_last=4)

    assert staying(plan) == labels(*dumps[:4])
    assert "one of the newest 4 (keep_last)" in why(plan, dumps[3])
    assert "not one of the newest 4 (keep_last)" in why(plan, dumps[4])


def test_daily_keeps_the_newest_of_each_utc_day():
    zone = timezone(timedelta(hours=-5))
    late = datetime(2026, 11, 24, 20, 0, tzinfo=zone)  # the 25th in UTC
    dumps = [
        dump(0),
        dump(1, snapshot_at=late + timedelta(hours=3)),
        dump(1.5, snapshot_at=late),
        dump(2.2, snapshot_at=late - timedelta(hours=2)),
    ]

    plan = planned(dumps, daily=3)

    assert staying(plan) == labels(dumps[0], dumps[1], dumps[3])
    assert "it is the newest proven of 2026-11-25 (daily: 3)" in why(plan, dumps[1])


def test_weeks_begin_on_monday():
    thursday, monday, sunday, saturday = dump(0), dump(3), dump(4), dump(5)

    plan = planned([thursday, monday, sunday, saturday], weekly=2)

    assert staying(plan) == labels(thursday, sunday)
    assert "the week from 2026-11-16 (weekly: 2)" in why(plan, sunday)


def test_months_and_years_keep_the_newest_of_each_that_has_one():
    november, october, july, last_year, before = dump(0), dump(30), dump(130), dump(340), dump(700)

    plan = planned([november, october, dump(31), july, last_year, before], monthly=3, yearly=2)

    assert staying(plan) == labels(november, october, july, last_year)
    assert "of 2026-07 (monthly: 3)" in why(plan, july)
    assert "of 2025 (yearly: 2)" in why(plan, last_year)


def test_a_month_is_represented_by_a_proven_backup_where_it_has_one():
    proven, unproven = dump(40), dump(39, proven=False)

    plan = planned([dump(0), proven, unproven], monthly=2)

    assert plan.expired == (unproven.label,)


def test_a_month_without_a_proven_backup_keeps_its_newest():
    older, newer = dump(41, proven=False), dump(40, proven=False)

    plan = planned([dump(0), newer, older], monthly=2)

    assert plan.expired == (older.label,)
    assert "it is the newest of 2026-10 (monthly: 2)" in why(plan, newer)


def test_the_newest_proven_ones_stay_however_old():
    dumps = [dump(age) for age in range(31, 36)] + [dump(0, proven=False)]

    plan = planned(dumps, keep_last=1, min_proven=3)

    assert staying(plan) == labels(*dumps[:3], dumps[-1])
    assert "one of the newest 3 that are proven (min_proven)" in why(plan, dumps[2])


def test_the_newest_proven_one_stays_even_when_none_is_asked_for():
    dumps = [dump(age, proven=age > 2) for age in range(6)]

    plan = planned(dumps, keep_last=1, min_proven=0)

    assert staying(plan) == labels(*dumps[:4])
    assert "one of the newest 1 that are proven" in why(plan, dumps[3])


def test_without_rules_everything_stays_and_the_reason_is_the_policys():
    policy = RetentionPolicy(without_rules="tree media is no longer in targets.yaml")

    plan = apply_retention([tree(5000), tree(0)], policies=lambda _label: policy, now=NOW)

    assert plan.expired == ()
    assert "keep, because tree media is no longer in targets.yaml" in str(plan.decisions[0])


def test_what_keeps_a_backup_from_outside_is_named_in_its_own_words():
    held = dump(400, kept_because=("held by ann until 2027-01-01: audit",))

    plan = planned([held, dump(399), dump(0)], keep_last=1)

    assert plan.expired == (dump(399).label,)
    assert why(plan, held) == f"{held.label}: keep, because held by ann until 2027-01-01: audit"


def test_an_incremental_backup_keeps_its_whole_chain():
    old, kept = chain(60, 59, 58), chain(40, 39, 38)

    plan = planned([*old, *kept, full(0)], keep_last=2)

    assert plan.expired == tuple(one.label for one in old)
    assert why(plan, kept[0]).endswith(f"keep, because {kept[1].label} is restored from it")


def test_a_backup_that_several_are_restored_from_names_the_newest_of_them():
    first = tree(50)
    others = [tree(age, needs=(first.label,)) for age in (2, 1, 0)]

    plan = planned([first, *others], keep_last=3)

    assert f"{others[-1].label} and 2 more are restored from it" in why(plan, first)


def test_backups_that_need_each_other_go_together():
    one, other = dump(50), dump(49)
    circle = [dump(50, needs=(other.label,)), dump(49, needs=(one.label,))]

    plan = planned([*circle, dump(0)], keep_last=1)

    assert plan.expired == labels_in_order(*circle)


def test_a_backup_whose_parent_is_gone_takes_no_places_of_good_ones():
    base, orphan = full(10), full(5, needs=(full(500).label,))

    plan = planned([full(20), base, orphan, full(4), full(3)], keep_last=3, min_proven=3)

    assert base.label in staying(plan)
    assert plan.expired == (full(20).label, orphan.label)


def test_a_backup_of_which_two_parts_are_gone_is_one_incomplete_backup():
    broken = tree(5, needs=(tree(500).label, tree(400).label), proven=False)
    upon_it = tree(4, needs=(broken.label,), proven=False)

    plan = planned([tree(9), tree(8), broken, upon_it, tree(0)], keep_last=3)

    assert plan.expired == (broken.label, upon_it.label)


def test_the_newest_complete_backup_stays_beside_a_newer_incomplete_one():
    complete, incomplete = dump(2, proven=False), dump(1, needs=(dump(500).label,), proven=False)

    plan = planned([complete, incomplete], keep_last=1)

    assert plan.expired == ()
    assert "the newest of the dumps that has all it needs" in why(plan, complete)


def test_trees_are_kept_each_by_itself():
    media, config = [tree(9), tree(0)], [tree(50, "config"), tree(40, "config")]

    plan = planned([*media, *config], keep_for=days(7))

    assert plan.expired == (config[0].label,)


def test_dumps_do_not_stand_in_for_base_backups():
    base = full(50)

    plan = planned([base, dump(60), dump(0)], keep_last=1)

    assert plan.expired == (dump(60).label,)


def test_each_kind_has_its_own_policy():
    def policies(label: BackupLabel) -> RetentionPolicy:
        return RetentionPolicy(keep_last=2 if label.kind is BackupKind.DUMP else 1, min_proven=1)

    dumps, trees = [dump(age) for age in range(4)], [tree(age) for age in range(4)]

    plan = apply_retention([*dumps, *trees], policies=policies, now=NOW)

    assert staying(plan) == labels(*dumps[:2], trees[0])


def test_dumps_span_an_upgrade_of_the_cluster():
    before, after = [dump(age, system_id=OLD_CLUSTER) for age in (40, 39, 38)], dump(1, system_id=CLUSTER)

    plan = planned([*before, after], keep_last=1)

    assert staying(plan) == labels(after)


def test_a_keep_for_longer_than_time_itself_keeps_everything():
    assert planned([dump(5000), dump(0)], keep_for=timedelta.max).expired == ()


def test_durations_are_written_as_people_say_them():
    def span(keep_for: timedelta) -> str:
        return why(planned([dump(0)], keep_for=keep_for), dump(0))

    assert "not older than 1 day (keep_for)" in span(days(1))
    assert "not older than 36 hours (keep_for)" in span(timedelta(hours=36))
    assert "not older than 90 minutes (keep_for)" in span(timedelta(minutes=90))
    assert "not older than 1 second (keep_for)" in span(timedelta(seconds=1))


def test_the_worked_example_of_the_documentation():
    def nightly(make, hour, count):
        return [make(age + (12 - hour) / 24) for age in range(count)]

    bases = []
    for age, sunday in ((age, age % 7 == 4) for age in reversed(range(130))):
        age += 9 / 24
        bases.append(full(age) if sunday or not bases else incremental(age, bases[-1]))
    dumps, files = nightly(dump, 1, 130), nightly(tree, 2, 130)

    local, s3 = planned([*bases, *dumps], keep_for=days(30)), planned([*bases, *dumps], keep_for=days(90))

    def first(plan, kind):
        return min(label.text for label in staying(plan) if label.kind is kind)

    assert len(staying(local) & labels(*dumps)) == 31
    assert len(staying(s3) & labels(*dumps)) == 91
    assert first(local, BackupKind.DUMP).startswith("20261027T")
    assert first(local, BackupKind.FULL).startswith("20261025T")
    assert first(s3, BackupKind.FULL).startswith("20260823T")
    assert len(staying(planned(files, keep_for=days(7)))) == 8
    assert len(staying(planned(files, keep_for=days(30)))) == 31
    rolled = [kept.reason[:8] for kept in (local.wal[0], s3.wal[0])]
    assert rolled == ["20261027", "20260828"]
    assert [kept.reason[:8] for kept in local.wal[1:]] == ["20261025", "20261026"]


def test_without_backups_there_is_nothing_to_decide():
    plan = planned([], keep_for=days(30))

    assert (plan.decisions, plan.wal, plan.blocked) == ((), None, ())


def test_the_same_label_twice_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="same label"):
        planned([dump(1), dump(1)], keep_last=1)


def test_twenty_thousand_backups_are_decided_like_twenty():
    """Hourly dumps of two years and more, shuffled; seven days, and a backup of each of twelve months."""
    hourly = [dump(hours / 24) for hours in range(20_000)]
    shuffled = list(hourly)
    random.Random(1).shuffle(shuffled)

    plan = planned(shuffled, keep_for=days(7), monthly=12, min_proven=3)

    assert len(plan.decisions) == 20_000
    assert staying(plan) >= labels(*hourly[: 7 * 24 + 1])
    assert len(staying(plan)) == 7 * 24 + 1 + 11
    assert [decision.label for decision in plan.decisions] == [one.label for one in reversed(hourly)]


def labels_in_order(*backups):
    return tuple(backup.label for backup in sorted(backups, key=lambda one: one.finished_at))
