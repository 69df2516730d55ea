"""Which WAL stays: the minimum over all base backups that stay, and all of what nobody knows."""

from __future__ import annotations

from backstop.model.lsn import MEBIBYTE, Lsn
from backstop.model.retention import RetentionPolicy, WalSeen, apply_retention
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
    lsn_at,
    planned,
    staying,
)


def keeps(plan, age: float, *, timeline: int = 1, system_id: str = CLUSTER) -> bool:
    """Whether the segment of a MiB that was being written so many days ago stays."""
    begin = Lsn(lsn_at(age).position // MEBIBYTE * MEBIBYTE)
    return plan.keeps_wal(system_id, timeline=timeline, begin=begin, end=begin + MEBIBYTE)


def test_wal_stays_from_the_start_of_the_oldest_base_backup_of_the_window_up_to_now():
    plan = planned([full(age) for age in range(0, 70, 7)], keep_for=days(30))

    (kept,) = plan.wal
    assert (kept.start, kept.end, kept.timeline) == (full(35).start, None, 1)
    assert f"{full(35).label} is rolled forward from there up to now" in kept.reason
    assert [keeps(plan, age) for age in (37, 35.001, 20, 0, -1)] == [False, True, True, True, True]


def test_a_monthly_base_backup_keeps_only_the_wal_that_makes_it_consistent():
    monthly, newest = full(60), full(0)

    plan = planned([monthly, newest], monthly=2)

    assert [(kept.start, kept.end) for kept in plan.wal] == [
        (newest.start, None),
        (monthly.start, monthly.end),
    ]
    assert [keeps(plan, age) for age in (62, 60.0001, 58, 0.0001)] == [False, True, False, True]


def test_a_held_base_backup_keeps_only_the_wal_that_makes_it_consistent():
    held = full(60, kept_because=("held by ann",))

    plan = planned([held, full(0)], keep_last=1)

    assert [kept.end for kept in plan.wal] == [None, held.end]


def test_a_base_backup_that_a_recovery_reads_keeps_all_wal_behind_it():
    read = full(60, kept_because=("a recovery reads it",), read_now=True)

    plan = planned([read, full(0)], keep_last=1)

    assert [(kept.start, kept.end) for kept in plan.wal] == [(read.start, None)]


def test_every_member_of_a_chain_keeps_what_makes_it_consistent():
    parents = chain(40, 39)
    last = incremental(1, parents[-1])

    plan = planned([*parents, last], keep_last=1)

    assert [(kept.start, kept.end) for kept in plan.wal] == [
        (last.start, None),
        *((one.start, one.end) for one in parents),
    ]


def test_the_first_backup_of_a_day_never_purges_the_wal_of_the_one_before():
    """The cutoff is the minimum over all that stay, whichever was taken last."""
    proven, newest = full(1), full(0, proven=False)

    plan = planned([proven, newest], keep_last=1)

    assert plan.wal[0].start == proven.start


def test_later_timelines_are_kept_from_the_same_position_on():
    plan = planned([full(20), full(0, timeline=2)], keep_for=days(30))

    assert keeps(plan, 10, timeline=1)
    assert keeps(plan, 10, timeline=2)
    assert keeps(plan, 10, timeline=3)


def test_the_oldest_timeline_and_the_oldest_position_are_taken_each_for_itself():
    """After a recovery to an earlier position, what was taken later begins earlier in the WAL."""
    before, after = full(5, timeline=1), full(0, timeline=2, start=lsn_at(9), end=lsn_at(8))

    (kept,) = planned([before, after], keep_for=days(30)).wal

    assert (kept.timeline, kept.start) == (1, lsn_at(9))


def test_wal_of_an_earlier_timeline_goes_with_its_last_base_backup():
    old = full(60)

    plan = planned([old, full(35, timeline=2), full(0, timeline=2)], keep_for=days(30))

    assert old.label not in staying(plan)
    assert not keeps(plan, 20, timeline=1)


def test_wal_of_a_cluster_without_any_base_backup_stays():
    plan = planned([full(40), full(0)], keep_last=1)

    assert keeps(plan, 60, system_id="7500000000000000000")


def test_without_base_backups_all_wal_stays():
    plan = planned([dump(40), dump(0)], keep_last=1)

    assert plan.wal is None
    assert keeps(plan, 5000)


def test_where_base_backups_are_kept_for_good_so_is_all_wal():
    plan = apply_retention([full(50), full(0)], policies=lambda _label: RetentionPolicy(), now=NOW)

    assert plan.wal is None


def test_no_wal_goes_while_no_base_backup_of_the_cluster_is_proven():
    plan = planned([full(40, proven=False), full(0, proven=False)], keep_last=1)

    assert keeps(plan, 5000)
    assert plan.wal[0].reason == "nothing of it goes while none of its base backups is proven"


def test_a_base_backup_that_does_not_say_which_wal_it_needs_keeps_all():
    plan = planned([full(40), full(0, start=None)], keep_last=1)

    assert keeps(plan, 5000)
    assert "does not say which WAL it needs" in plan.wal[0].reason


def test_a_base_backup_that_ends_on_a_boundary_keeps_one_segment_more_rather_than_less():
    boundary = Lsn(100 * MEBIBYTE)
    held = full(60, start=boundary - 1000, end=boundary, kept_because=("held",))

    plan = planned([held, full(0)], keep_last=1)

    assert [
        plan.keeps_wal(CLUSTER, timeline=1, begin=begin, end=begin + MEBIBYTE)
        for begin in (boundary - 2 * MEBIBYTE, boundary - MEBIBYTE, boundary, boundary + MEBIBYTE)
    ] == [False, True, True, False]


class TestEndedClusters:
    NEW = tuple(full(age) for age in (40, 1, 0))

    def test_wal_of_a_cluster_whose_backups_are_gone_goes_when_the_window_has_passed_it(self):
        """An interrupted expiry may have left it."""
        plan = planned(self.NEW, keep_for=days(30), seen={OLD_CLUSTER: WalSeen(3, NOW - days(50))})

        assert plan.wal_ended == (OLD_CLUSTER,)
        assert not keeps(plan, 50, system_id=OLD_CLUSTER)

    def test_wal_of_a_cluster_whose_first_base_backup_may_be_running_stays(self):
        plan = planned(self.NEW, keep_last=1, seen={OLD_CLUSTER: WalSeen(1, NOW)})

        assert plan.wal_ended == ()

    def test_wal_of_the_window_stays(self):
        plan = planned(self.NEW, keep_for=days(60), seen={OLD_CLUSTER: WalSeen(1, NOW - days(50))})

        assert plan.wal_ended == ()

    def test_it_stays_until_enough_newer_ones_are_proven(self):
        seen = {OLD_CLUSTER: WalSeen(1, NOW - days(20))}

        assert planned(self.NEW, keep_last=1, min_proven=3, seen=seen).wal_ended == ()
        assert planned(self.NEW, keep_last=1, min_proven=2, seen=seen).wal_ended == (OLD_CLUSTER,)

    def test_where_everything_is_kept_no_cluster_ends(self):
        plan = apply_retention(
            self.NEW,
            policies=lambda _label: RetentionPolicy(min_proven=1),
            now=NOW,
            seen={OLD_CLUSTER: WalSeen(1, NOW - days(50))},
        )

        assert plan.wal_ended == ()

    def test_without_base_backups_no_cluster_ends(self):
        plan = planned([dump(0)], keep_last=1, seen={OLD_CLUSTER: WalSeen(1, NOW - days(50))})

        assert (plan.wal, plan.wal_ended) == (None, ())


def test_the_wal_of_both_clusters_stays_while_both_have_backups():
    old = full(20, system_id=OLD_CLUSTER)

    plan = planned([old, full(1), full(0)], keep_for=days(30))

    assert {kept.system_id: kept.start for kept in plan.wal} == {
        OLD_CLUSTER: old.start,
        CLUSTER: full(1).start,
    }
    assert staying(plan) == labels(old, full(1), full(0))
