"""What holds expiry up: nothing proven, a drop in rows, a clock that cannot be right, an upgrade."""

from __future__ import annotations

import pytest

from backstop.errors import ConfigurationError
from backstop.model.retention import WalSeen
from tests.model.retaining import (
    CLUSTER,
    NOW,
    OLD_CLUSTER,
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


def test_nothing_expires_while_nothing_is_proven_and_the_plan_says_so():
    dumps = [dump(age, proven=False) for age in range(40)]

    plan = planned(dumps, keep_for=days(7))

    assert plan.expired == ()
    assert plan.blocked == ("dumps: nothing expires, because none of them is proven; verify the newest",)
    assert why(plan, dumps[-1]).endswith("keep, because no newer one is proven")


def test_what_is_newer_than_the_newest_proven_one_stays_and_what_is_older_may_go():
    proven = dump(20)
    older, newer = dump(25), [dump(age, proven=False) for age in range(20)]

    plan = planned([older, proven, *newer], keep_last=2)

    assert plan.expired == (older.label,)
    (sentence,) = plan.blocked
    assert sentence == (
        f"dumps: what is newer than {proven.label} stays, because nothing newer is proven; verify the newest"
    )


def test_a_proven_dump_lets_no_backup_of_files_expire():
    trees = [tree(age, proven=False) for age in range(10)]

    plan = planned([*trees, dump(0)], keep_last=1)

    assert plan.expired == ()
    assert [sentence.split(":")[0] for sentence in plan.blocked] == ["backups of tree media"]


def test_nothing_is_said_to_be_held_up_while_the_rules_keep_it_anyway():
    assert planned([dump(1), dump(0, proven=False)], keep_for=days(30)).blocked == ()


def test_the_newest_stays_even_when_it_is_unproven_and_old():
    plan = planned([dump(50), dump(40, proven=False)], keep_for=days(1))

    assert plan.expired == ()


class TestDrop:
    def test_a_truncated_table_holds_expiry_up_although_its_dumps_are_proven(self):
        good, truncated = dump(40, content=1000), [dump(age, content=100) for age in (39, 20, 0)]

        plan = planned([good, *truncated], keep_last=1)

        assert plan.expired == ()
        assert plan.blocked == (
            f"dumps: nothing expires, because {truncated[0].label} holds 100 rows, 90 % less than "
            f"{good.label} (1,000); see whether that is meant, and then accept {truncated[0].label}",
        )
        assert "holds so much less than before that somebody must look first" in why(plan, good)

    def test_it_is_said_before_any_rule_would_let_something_go(self):
        plan = planned([tree(1, content=1000), tree(0, content=1)], keep_for=days(30))

        assert "holds 1 files, 100 % less" in plan.blocked[0]

    def test_an_accepted_drop_lets_expiry_go_on(self):
        good, truncated = dump(40, content=1000), dump(39, content=100)

        plan = planned([good, truncated, dump(0, content=90)], keep_last=1, accepted=labels(truncated))

        assert plan.expired == (good.label, truncated.label)
        assert plan.blocked == ()

    def test_accepting_one_accepts_what_came_before_it(self):
        dumps = [dump(40, content=1000), dump(39, content=500), dump(38, content=100), dump(0, content=100)]

        plan = planned(dumps, keep_last=1, accepted=labels(dumps[2]))

        assert plan.blocked == ()

    def test_a_further_drop_after_an_accepted_one_is_found(self):
        dumps = [dump(40, content=1000), dump(39, content=500), dump(0, content=100)]

        plan = planned(dumps, keep_last=1, accepted=labels(dumps[1]))

        assert f"{dumps[2].label} holds 100 rows" in plan.blocked[0]

    def test_nobody_looks_for_half_a_year_and_the_last_good_backup_is_still_there(self):
        good, left = dump(200, content=1000), [dump(201, content=1000), dump(200, content=1000)]
        for age in reversed(range(200)):
            left.append(dump(age, content=10))
            plan = planned(left, now=NOW - days(age), keep_for=days(30), monthly=3)
            left = [one for one in left if one.label in staying(plan)]

        assert good in left
        assert len(left) == 202

    def test_it_is_over_once_the_rows_are_back(self):
        dumps = [dump(40, content=1000), dump(39, content=100), dump(0, content=990)]

        plan = planned(dumps, keep_last=1)

        assert plan.blocked == ()
        assert plan.expired == (dumps[0].label, dumps[1].label)

    def test_an_unproven_backup_is_nothing_to_compare_with(self):
        inflated = dump(39, content=10_000, proven=False)

        plan = planned([dump(40, content=1000), inflated, dump(0, content=1000)], keep_last=1)

        assert plan.blocked == ()

    def test_a_slow_decline_is_no_drop(self):
        dumps = [dump(age, content=1000 + age * 30) for age in range(40)]

        assert planned(dumps, keep_last=1).blocked == ()

    def test_a_quarter_less_is_no_drop_and_more_is(self):
        assert planned([dump(1, content=100), dump(0, content=75)], keep_last=1).blocked == ()
        assert planned([dump(1, content=100), dump(0, content=74)], keep_last=1).blocked != ()

    def test_fewer_than_twenty_are_not_noticed_unless_nothing_is_left(self):
        assert planned([tree(1, content=20), tree(0, content=1)], keep_last=1).blocked == ()
        assert planned([tree(1, content=21), tree(0, content=1)], keep_last=1).blocked != ()
        assert planned([tree(1, content=1), tree(0, content=0)], keep_last=1).blocked != ()
        assert planned([tree(1, content=0), tree(0, content=0)], keep_last=1).blocked == ()

    def test_a_backup_that_does_not_say_what_it_holds_is_passed_over(self):
        dumps = [dump(40, content=1000), dump(39, content=None), dump(0, content=100)]

        assert f"less than {dumps[0].label}" in planned(dumps, keep_last=1).blocked[0]

    def test_a_drop_in_one_tree_does_not_hold_up_another(self):
        media = [tree(age, content=1000 if age else 1) for age in range(10)]
        config = [tree(age, "config", content=1000) for age in range(10)]

        plan = planned([*media, *config], keep_last=1)

        assert staying(plan) == labels(*media, config[0])

    def test_an_accepted_backup_stays_while_an_older_one_holds_so_much_more(self):
        held = dump(400, content=1000, kept_because=("held by ann",))
        accepted = dump(39, content=100)

        plan = planned(
            [held, accepted, dump(38, content=100), dump(0, content=100)],
            keep_last=1,
            accepted=labels(accepted),
        )

        assert plan.expired == (dump(38).label,)
        assert "somebody has looked at its drop" in why(plan, accepted)

    def test_an_accepted_backup_goes_like_any_other_once_nothing_older_holds_more(self):
        accepted = dump(39, content=100)
        backups = [
            dump(40, content=100, kept_because=("held by ann",)),
            accepted,
            dump(0, content=100),
        ]

        plan = planned(backups, keep_last=1, accepted=labels(accepted, dump(500)))

        assert plan.expired == (accepted.label,)


class TestClock:
    def test_a_clock_before_the_newest_backup_is_refused_as_a_whole(self):
        with pytest.raises(ConfigurationError, match="finished at 2026-11-26 12:00:00Z") as refused:
            planned([dump(50), dump(0)], now=NOW - days(1), keep_for=days(30))

        assert "check the clock of this machine and of the one that took the backup" in refused.value.hint

    def test_a_backup_that_is_accepted_although_dated_ahead_stays_and_counts_for_nothing(self):
        daily = [dump(age, proven=age > 3) for age in range(40)]
        ahead = dump(-365)

        plan = planned([*daily, ahead], keep_last=2, accepted=labels(ahead))
        without = planned(daily, keep_last=2)

        assert staying(plan) == staying(without) | labels(ahead)
        assert plan.blocked == without.blocked
        assert why(plan, ahead) == f"{ahead.label}: keep, because its date is still to come"

    def test_accepting_one_of_two_that_are_dated_ahead_is_not_enough(self):
        ahead = [dump(-365), dump(-364)]

        with pytest.raises(ConfigurationError) as refused:
            planned([dump(0), *ahead], keep_last=1, accepted=labels(ahead[0]))

        assert f"accept {ahead[1].label}: it then stays until its date has come" in refused.value.hint

    def test_a_chain_on_a_base_backup_that_is_dated_ahead_stays_with_its_wal(self):
        parent = full(60)
        ahead = incremental(-30, parent, start=parent.end, end=parent.end + 1000)

        plan = planned([parent, full(50), full(0), ahead], keep_last=1, accepted=labels(ahead))

        assert staying(plan) == labels(parent, full(0), ahead)
        assert (ahead.start, None) in [(kept.start, kept.end) for kept in plan.wal]

    def test_a_cluster_does_not_end_while_a_base_backup_of_it_is_dated_ahead(self):
        old, ahead = full(50, system_id=OLD_CLUSTER), full(-30, system_id=OLD_CLUSTER)

        plan = planned([old, ahead, full(1), full(0)], keep_last=1, accepted=labels(ahead))

        assert staying(plan) == labels(ahead, full(0))
        assert plan.wal_ended == ()

    def test_where_everything_is_dated_ahead_everything_stays(self):
        ahead = [dump(-30), full(-20)]

        plan = planned(ahead, keep_last=1, accepted=labels(*ahead))

        assert (plan.expired, plan.wal) == ((), None)

    def test_wal_of_a_cluster_of_which_everything_is_dated_ahead_stays(self):
        ahead = full(-20, system_id=OLD_CLUSTER)

        plan = planned([full(50), full(0), ahead], keep_last=1, accepted=labels(ahead))

        assert plan.keeps_wal(OLD_CLUSTER, timeline=1, begin=ahead.start, end=ahead.end)

    def test_a_clock_a_little_behind_is_only_skew(self):
        assert planned([dump(50), dump(40), dump(0)], now=NOW - days(0.01), keep_for=days(30)).expired

    def test_a_clock_a_year_ahead_is_refused_as_a_whole_and_says_how_to_go_on(self):
        with pytest.raises(ConfigurationError, match="finished 365 days before") as refused:
            planned([dump(50), dump(0)], now=NOW + days(365), keep_for=days(30))

        assert "if it is right, take a backup" in refused.value.hint

    def test_a_backup_taken_under_a_clock_a_year_ahead_is_no_witness_for_it(self):
        daily, that_night = [dump(age) for age in range(40)], [dump(-365), tree(-365), tree(-364.9)]

        plan = planned([*daily, *that_night], now=NOW + days(365), keep_for=days(30))

        assert staying(plan) >= labels(*daily[:29], *that_night)

    def test_after_a_long_pause_time_goes_on_with_the_third_day_of_backups(self):
        before = [dump(age) for age in (100, 99, 98)]

        second = planned([*before, dump(1), dump(0.9), dump(0)], keep_for=days(30))
        third = planned([*before, dump(2), dump(1), dump(0)], keep_for=days(30))

        assert second.expired == ()
        assert third.expired == (before[0].label, before[1].label)

    def test_a_clock_three_weeks_ahead_costs_no_more_than_two_days(self):
        daily = [dump(age) for age in range(40)]

        plan = planned(daily, now=NOW + days(21), keep_for=days(30))

        assert labels(*daily[:29]) <= staying(plan)

    def test_forty_days_of_failures_delete_nothing_that_was_kept_two_days_after_the_last_success(self):
        daily = [dump(age) for age in range(60)]
        at_first = staying(planned(daily, now=NOW + days(2), keep_for=days(30)))

        for failing in range(3, 41):
            assert staying(planned(daily, now=NOW + days(failing), keep_for=days(30))) == at_first

    def test_other_backups_show_that_time_goes_on(self):
        """Dumps fail, files do not: dumps grow old, and the newest proven ones stay all the same."""
        dumps, files = [dump(age) for age in range(40, 50)], [tree(age) for age in range(10)]

        plan = planned([*dumps, *files], keep_for=days(30), min_proven=3)

        assert staying(plan) & labels(*dumps) == labels(*dumps[:3])


class TestUpgrade:
    """pg_upgrade gives a cluster a new system identifier, and timelines begin again at 1."""

    def test_the_first_backup_after_it_does_not_end_those_before_it(self):
        old = [full(age, system_id=OLD_CLUSTER, timeline=7) for age in (30, 29, 28)]

        plan = planned([*old, full(0, proven=False)], keep_last=1)

        assert staying(plan) == labels(old[-1], full(0))
        assert "the newest of the base backups of cluster 7300000000000000000" in why(plan, old[-1])

    def test_those_before_it_end_when_enough_of_the_new_cluster_are_proven(self):
        old = [full(age, system_id=OLD_CLUSTER, timeline=7) for age in (30, 29, 28)]
        new = [full(age) for age in (2, 1, 0)]

        two = planned([*old, *new[:2]], keep_last=1, min_proven=3)
        three = planned([*old, *new], keep_last=1, min_proven=3)

        assert staying(two) == labels(*old, *new[:2])
        assert staying(three) == labels(*new)
        assert three.wal_ended == (OLD_CLUSTER,)
        assert f"{new[-1].label} is newer and proven" in why(three, old[0])

    def test_one_proven_backup_of_the_new_cluster_is_asked_for_even_when_none_is(self):
        old, unproven = full(30, system_id=OLD_CLUSTER), full(0, proven=False)

        assert planned([old, unproven], keep_last=1, min_proven=0).expired == ()
        assert planned([old, full(0)], keep_last=1, min_proven=0).expired == (old.label,)

    def test_they_stay_while_the_window_reaches_back_to_them(self):
        old = [full(age, system_id=OLD_CLUSTER) for age in (60, 50, 40)]

        inside = planned([*old, *(full(age) for age in range(30))], keep_for=days(35))
        passed = planned([*old, *(full(age) for age in range(37))], keep_for=days(35))

        assert labels(*old) & staying(inside) == labels(old[-1])
        assert labels(*old) & staying(passed) == set()

    def test_an_unproven_last_one_of_the_old_cluster_does_not_hold_its_end_up(self):
        old = [full(30, system_id=OLD_CLUSTER), full(29, system_id=OLD_CLUSTER, proven=False)]

        plan = planned([*old, full(1), full(0)], keep_last=1)

        assert staying(plan) == labels(full(0))
        assert plan.blocked == ()

    def test_the_old_cluster_does_not_end_while_it_still_writes_wal(self):
        old, new = full(40, system_id=OLD_CLUSTER), [full(age) for age in range(5)]
        seen = {OLD_CLUSTER: WalSeen(1, NOW)}

        plan = planned([old, *new], keep_last=1, seen=seen)

        assert old.label in staying(plan)

    def test_a_month_of_the_old_cluster_is_counted_with_those_of_the_new(self):
        old = [full(age, system_id=OLD_CLUSTER) for age in (90, 60)]

        plan = planned([*old, full(30), full(0), full(0.1)], monthly=3)

        assert staying(plan) == labels(old[1], full(30), full(0))

    def test_an_upgrade_that_was_taken_back_leaves_the_old_cluster_the_newest(self):
        tried = full(20, system_id=CLUSTER)
        old = [full(age, system_id=OLD_CLUSTER) for age in (30, 10, 0)]

        plan = planned([tried, *old], keep_last=1, min_proven=2)

        assert staying(plan) == labels(*old[1:])
        assert plan.wal_ended == (CLUSTER,)


class TestTimelines:
    """A recovery to a point in time begins a new timeline; older base backups may be what leads there."""

    def test_those_of_older_timelines_stay_until_the_new_one_has_a_proven_backup(self):
        before = [full(age) for age in (10, 5, 1)]
        seen = {CLUSTER: WalSeen(2, NOW)}

        plan = planned(before, keep_last=1, seen=seen)
        unproven = planned([*before, full(0, timeline=2, proven=False)], keep_last=1, seen=seen)
        proven = planned([*before, full(0, timeline=2)], keep_last=1, seen=seen)

        assert plan.expired == ()
        assert plan.blocked == (
            f"base backups of cluster {CLUSTER}: those of older timelines stay, because timeline 2 has no "
            "proven base backup yet",
        )
        assert "it may lead onto timeline 2" in why(plan, before[0])
        assert unproven.expired == ()
        assert staying(proven) == labels(full(0))

    def test_with_a_window_they_stay_until_it_begins_on_the_new_timeline(self):
        before = [full(age) for age in (60, 50, 40)]

        young = planned([*before, full(20, timeline=2), full(0, timeline=2)], keep_for=days(30))
        settled = planned([*before, full(31, timeline=2), full(0, timeline=2)], keep_for=days(30))

        assert young.expired == ()
        assert settled.expired == tuple(one.label for one in before)

    def test_a_base_backup_that_does_not_say_its_timeline_is_taken_for_one_of_the_oldest(self):
        unsaid = full(60, timeline=None)

        plan = planned([unsaid, full(50), full(0)], keep_last=1, seen={CLUSTER: WalSeen(2, NOW)})

        assert unsaid.label in staying(plan)

    def test_a_cluster_that_has_ended_waits_for_no_timeline(self):
        old = full(60, system_id=OLD_CLUSTER)
        seen = {OLD_CLUSTER: WalSeen(2, NOW - days(50))}

        plan = planned([old, *(full(age) for age in (40, 1, 0))], keep_for=days(30), seen=seen)

        assert old.label not in staying(plan)
