"""A plan names what to fetch and why; a refusal names why not, and the nearest target that is possible."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import RecoveryImpossibleError
from backstop.model.recovery import plan_recovery
from backstop.model.recovery_target import RecoveryTarget, TargetKind
from backstop.model.window import recovery_windows
from tests.model.recovering import (
    SIZE,
    Cluster,
    base,
    history,
    lsn,
    minute,
    piece,
    plain_cluster,
    promoted_cluster,
    segment,
    stored,
)
from tests.model.test_window import branched_clusters

NOW = minute(60)


def plan(cluster, target, **facts):
    return plan_recovery(parsed(target), cluster.sources(), now=NOW, **facts)


def parsed(target, **options):
    return RecoveryTarget.parse(target, **options) if isinstance(target, str) else target


def refusal(cluster, target, **facts):
    with pytest.raises(RecoveryImpossibleError) as caught:
        plan(cluster, target, **facts)
    nearest = caught.value.nearest
    if nearest is not None:
        assert plan(cluster, nearest, **facts)
        assert "nearest possible is " in caught.value.hint
    return caught.value


def at(minutes):
    return RecoveryTarget(TargetKind.TIME, time=minute(minutes))


def position(segments):
    return RecoveryTarget(TargetKind.LSN, lsn=lsn(segments))


def names(runs):
    return [found.name for run in runs for found in run]


def test_a_time_takes_the_newest_base_that_ended_before_it():
    found = plan(plain_cluster(), at(5))

    assert found.chain == ("base-2",)
    assert names(found.segments) == [segment(number).name for number in (2, 3, 4)]
    assert names(found.following) == [segment(number).name for number in (5, 6, 7, 8, 9)]
    assert (found.first_segment, found.last_segment, found.segment_count) == (segment(2), segment(4), 3)
    assert found.stop_lsn is None
    assert found.end_lsn == lsn(10)
    assert found.settings["recovery_target_time"] == "2026-11-23 01:05:00.000000+00"
    assert plan(plain_cluster(), at(6.5)).chain == ("base-6",)


def test_a_plan_says_why():
    assert plan(plain_cluster(), at(7.5)).why == (
        "base backup base-6: the newest that ended before 2026-11-23 01:07:30+00:00 "
        '(docs, "Recovering Using a Continuous Archive Backup": one stops after the end of the base backup)',
        "the newest timeline that is known (recovery_target_timeline = latest)",
        'timeline 1 (as its history says: "Timelines")',
        f"WAL {segment(6)} to {segment(7)}: 2 segments without a gap; "
        f"what is stored beyond leads up to {lsn(10)}",
    )


def test_a_time_just_behind_the_base_still_needs_all_wal_that_makes_it_consistent():
    cluster = Cluster(
        [base(2, end=lsn(5.5), finished_at=minute(2.6))],
        [stored(number) for number in range(10)],
    )

    assert plan(cluster, at(2.7)).last_segment == segment(5)


def test_a_time_may_lie_in_the_tail():
    cluster = plain_cluster()
    cluster.tails.append(piece(10, 0, SIZE // 2))
    found = plan(cluster, at(10.4))

    assert found.last_segment == segment(9)
    assert (found.tail.length, found.tail_segment) == (SIZE // 2, segment(10))


def test_a_time_before_the_first_base_is_refused_with_the_first_possible_one():
    error = refusal(plain_cluster(), at(1))

    assert "base-2, ended at 2026-11-23 01:02:30+00:00" in error.message
    assert error.nearest == at(2.5)


def test_a_time_after_the_last_stored_wal_is_refused_with_the_latest():
    error = refusal(plain_cluster(), at(11))

    assert "the last WAL that is stored had been written by 2026-11-23 01:10:00+00:00" in error.message
    assert error.nearest == parsed("latest")
    assert error.hint == (
        f"nearest possible is latest, which leads up to {lsn(10)}, not later than 2026-11-23 01:10:00+0000"
    )
    assert error.exit_code == 3


def test_clocks_that_differ_a_little_refuse_nothing():
    assert plan(plain_cluster(), at(10 + 1 / 60)).last_segment == segment(9)
    refusal(plain_cluster(), at(10 + 1 / 60), clock_error=timedelta(0))


def test_a_time_after_the_last_commit_is_refused_even_when_wal_goes_on():
    error = refusal(plain_cluster(), at(9), last_commit_at=minute(8))

    assert "the last commit that is stored was at 2026-11-23 01:08:00+00:00" in error.message
    assert error.nearest == parsed("latest")
    assert "not later than 2026-11-23 01:08:00+0000" in error.hint
    assert plan(plain_cluster(), at(7.9), last_commit_at=minute(8)).chain == ("base-6",)


def test_the_time_of_the_last_commit_itself_can_only_be_stopped_before():
    refusal(plain_cluster(), at(8), last_commit_at=minute(8))

    assert plan(plain_cluster(), replace(at(8), inclusive=False), last_commit_at=minute(8))


def test_a_commit_known_to_be_stored_counts_more_than_when_its_segment_was_stored():
    assert plan(plain_cluster(), at(12), last_commit_at=minute(13)).last_segment == segment(9)


def test_a_time_still_to_come_is_refused():
    error = refusal(plain_cluster(), at(61), last_commit_at=minute(90))

    assert "that time has not come yet" in error.message
    assert error.nearest == parsed("latest")


@pytest.mark.parametrize(
    ("target", "nearest"),
    [(at(4.5), RecoveryTarget(TargetKind.LATEST, base="base-2")), (at(6.2), at(6.5))],
)
def test_a_time_in_a_gap_is_refused_with_the_nearer_side_of_it(target, nearest):
    error = refusal(plain_cluster().without(4), target)

    assert f"it lies in a gap: segment {segment(4)} is missing" in error.message
    assert error.nearest == nearest


def test_a_time_behind_the_last_gap_is_refused_with_what_comes_before_the_gap():
    error = refusal(plain_cluster().without(8), at(9))

    assert error.nearest == RecoveryTarget(TargetKind.LATEST, base="base-6")


def test_an_lsn_takes_the_newest_base_that_ended_at_or_before_it():
    assert plan(plain_cluster(), position(6.4)).chain == ("base-2",)
    found = plan(plain_cluster(), position(6.5))

    assert found.chain == ("base-6",)
    assert (found.stop_lsn, found.last_segment) == (lsn(6.5), segment(6))


def test_an_lsn_before_the_first_base_is_refused_with_the_first_possible_one():
    assert refusal(plain_cluster(), position(2.4)).nearest == position(2.5)


def test_when_nothing_but_the_base_itself_is_stored_it_is_what_is_near():
    cluster = Cluster([base(2, end=lsn(3))], [stored(2)])

    assert refusal(cluster, position(1)).nearest == RecoveryTarget(TargetKind.IMMEDIATE, base="base-2")


def test_an_lsn_behind_the_last_wal_is_refused_with_the_latest():
    error = refusal(plain_cluster(), position(10))

    assert f"{lsn(10)} lies behind the last WAL that is stored, which ends at {lsn(10)}" in error.message
    assert error.nearest == parsed("latest")


def test_an_lsn_in_the_padding_behind_the_last_record_is_refused_when_somebody_has_looked():
    error = refusal(plain_cluster(), position(9.5), last_record=lsn(9.25))

    assert f"the last record that is stored begins at {lsn(9.25)}" in error.message
    assert error.nearest == parsed("latest")
    assert plan(plain_cluster(), position(9.25), last_record=lsn(9.25)).stop_lsn == lsn(9.25)


def test_what_was_found_at_the_end_of_wal_says_nothing_about_a_gap_before_it():
    cluster = plain_cluster().without(8)

    assert plan(cluster, position(7.5), last_record=lsn(7.25)).chain == ("base-6",)
    assert plan(cluster, at(7.5), last_commit_at=minute(7)).chain == ("base-6",)


def test_an_lsn_in_a_gap_is_refused_with_what_comes_before_the_gap():
    error = refusal(plain_cluster().without(4), position(4.5))

    assert error.nearest == RecoveryTarget(TargetKind.LATEST, base="base-2")
    assert refusal(plain_cluster().without(8), position(9.5)).nearest.base == "base-6"


def test_a_restore_point_found_in_wal_is_planned_like_its_position():
    found = plan(plain_cluster(), "name:before", position=lsn(4.5))

    assert (found.chain, found.last_segment, found.stop_lsn) == (("base-2",), segment(4), lsn(4.5))
    assert found.settings["recovery_target_name"] == "before"
    assert "behind the last WAL" in refusal(plain_cluster(), "xid:4711", position=lsn(11)).message


def test_a_transaction_nobody_has_looked_for_is_met_from_the_oldest_base_that_leads_to_the_newest_wal():
    cluster = plain_cluster()
    cluster.bases.insert(0, base(0))
    found = plan(cluster.without(1), "xid:4711")

    assert found.chain == ("base-2",)
    assert (found.stop_lsn, found.following, found.last_segment) == (None, (), segment(9))
    assert "nobody has looked where xid:4711 lies" in found.why[0]


def test_immediate_takes_the_newest_base_and_its_own_wal():
    found = plan(plain_cluster(), "immediate")

    assert (found.chain, names(found.segments), found.stop_lsn) == (
        ("base-6",),
        [segment(6).name],
        lsn(6.5),
    )
    ending = Cluster([base(2, end=lsn(4))], [stored(number) for number in range(6)])
    assert plan(ending, "immediate").last_segment == segment(3)


def test_latest_takes_the_newest_base_and_all_wal():
    found = plan(plain_cluster(), "latest")

    assert (found.chain, found.last_segment, found.following, found.stop_lsn) == (
        ("base-6",),
        segment(9),
        (),
        lsn(10),
    )
    assert found.warnings == ()


def test_latest_with_newer_wal_behind_a_gap_is_refused_unless_the_base_is_named():
    cluster = plain_cluster().without(8)
    error = refusal(cluster, "latest")

    assert "newer WAL is stored than can be reached" in error.message
    assert error.nearest == parsed("latest", base="base-6")
    assert plan(cluster, error.nearest).warnings == (
        f"this is not the newest state: segment {segment(8)} is missing; "
        f"the next that is stored is {segment(9)}",
    )


def grown_with_a_hole(*more, second_content=False):
    """Segment 10 grew; the piece in the middle never arrived."""
    quarter = SIZE // 4
    tails = [piece(10, 0, quarter), piece(10, 2 * quarter, quarter)]
    if second_content:
        tails.append(piece(10, 2 * quarter, quarter, sha16="dd"))
    cluster = plain_cluster()
    return Cluster(cluster.bases, [*cluster.segments, *more], tails)


def test_latest_stops_at_a_hole_in_the_segment_that_was_growing_and_says_so():
    found = plan(grown_with_a_hole(), "latest")

    assert (found.chain, found.end_lsn) == (("base-6",), lsn(10.25))
    assert "this is not the newest state" in found.warnings[0]
    assert "are missing" in found.warnings[0]


@pytest.mark.parametrize("cluster", [grown_with_a_hole(stored(11)), grown_with_a_hole(second_content=True)])
def test_latest_is_refused_when_more_than_a_hole_in_growing_wal_stands_in_the_way(cluster):
    error = refusal(cluster, "latest")

    assert "newer WAL is stored than can be reached" in error.message


def test_a_named_base_is_used_although_a_newer_one_fits():
    assert plan(plain_cluster(), parsed("latest", base="base-2")).chain == ("base-2",)


def test_an_incremental_chain_is_planned_whole():
    cluster = plain_cluster()
    cluster.bases = [base(2, label="full"), base(4, label="incr", parent="full")]
    found = plan(cluster, "latest")

    assert found.chain == ("full", "incr")
    assert found.first_segment == segment(4)
    assert "base backup full + incr" in found.why[0]


def test_everything_may_lie_in_the_tail():
    found = plan(Cluster([base(2)], [], [piece(2, 0, SIZE * 3 // 4)]), at(2.6))

    assert (found.first_segment, found.last_segment, found.segment_count) == (None, None, 0)
    assert found.why[-1] == f"all WAL that is needed lies in the growing segment, up to {lsn(2.75)}"


def test_an_unusable_base_is_passed_over_and_named():
    cluster = plain_cluster()
    cluster.bases[1] = replace(cluster.bases[1], unusable="it is signed by nobody we trust")
    found = plan(cluster, "latest")

    assert found.chain == ("base-2",)
    assert (
        found.why[1]
        == "passed over: base-6 cannot be restored: base-6 cannot be used: it is signed by nobody we trust"
    )


def test_when_every_base_is_unverifiable_nothing_is_offered():
    cluster = plain_cluster()
    cluster.bases = [base(2, unusable="its manifest is damaged")]
    error = refusal(cluster, "latest")

    assert "base-2 cannot be used: its manifest is damaged" in error.message
    assert error.nearest is None
    assert error.hint == "nothing else is near; take a new base backup"


def test_a_server_of_another_major_version_is_refused_with_what_to_install():
    error = refusal(plain_cluster(), "latest", majors={15, 16})

    assert "base-6 needs PostgreSQL 18; at hand is 15, 16" in error.message
    assert error.hint == "install PostgreSQL 18"
    assert "at hand is none" in refusal(plain_cluster(), "latest", majors=()).message
    assert plan(plain_cluster(), "latest", majors={18}).server_major == 18


def test_lacking_wal_is_no_reason_to_install_anything():
    cluster = Cluster([base(2)], [stored(1)])

    assert "install" not in refusal(cluster, "latest", majors={18}).hint


def test_a_base_of_another_cluster_is_refused_by_name():
    cluster = plain_cluster()
    cluster.bases.append(base(8, system_id="42"))
    error = refusal(cluster, parsed("latest", base="base-8"))

    assert "base-8 is of cluster 42, and the WAL is of cluster 7300000000000000000" in error.message
    assert error.nearest == parsed("latest")


def test_without_base_backups_of_the_cluster_nothing_is_possible():
    error = refusal(Cluster([base(2, system_id="42")], [stored(2)]), "latest")

    assert "no base backup of cluster 7300000000000000000, only of 42" in error.message
    assert error.hint == "choose the WAL of the cluster the backups are of"
    assert refusal(Cluster(), "latest").hint == "take a base backup"


def test_a_base_that_is_not_there_is_refused_with_what_is_possible_without_it():
    assert refusal(plain_cluster(), parsed("latest", base="base-9")).nearest == parsed("latest")


def test_latest_follows_the_newest_timeline_and_names_the_way():
    cluster = promoted_cluster()
    found = plan(cluster, at(9.5))

    assert (found.timeline, found.chain, found.histories) == (2, ("base-6",), (2,))
    assert names(found.segments) == [
        segment(6).name,
        segment(7).name,
        segment(8, 2).name,
        segment(9, 2).name,
    ]
    assert f"timeline 2, by way of 1 up to {lsn(8.5)}" in found.why[2]
    assert found.settings["recovery_target_timeline"] == "2"


def test_a_segment_of_a_timeline_that_was_left_is_planned_with_its_cut():
    cluster = promoted_cluster()
    cluster.segments = [kept for kept in cluster.segments if kept.name < segment(8, 2).name]
    del cluster.bases[2]
    found = plan(cluster, "latest")

    assert (found.timeline, found.last_segment, found.end_lsn, found.cut_at) == (
        2,
        segment(8),
        lsn(8.5),
        lsn(8.5),
    )
    assert plan(promoted_cluster(), "latest").cut_at is None


def test_the_old_timeline_can_be_asked_for_by_its_number():
    found = plan(promoted_cluster(), parsed(str(position(9.5)), timeline=1))

    assert (found.timeline, found.last_segment) == (1, segment(9))
    assert found.warnings == ("timelines after 1 exist: 2",)


def test_current_stays_on_the_timeline_of_the_base():
    assert plan(promoted_cluster(), parsed("latest", timeline="current")).timeline == 2
    found = plan(promoted_cluster(), parsed("latest", timeline="current", base="base-6"))

    assert (found.timeline, found.end_lsn) == (1, lsn(10))


def test_a_base_outside_its_own_timeline_leads_nowhere():
    cluster = promoted_cluster()
    cluster.bases = [base(8, timeline=2)]
    error = refusal(cluster, parsed("latest", timeline="current"))

    assert "no base backup leads onto timeline current" in error.message


def test_an_unknown_timeline_is_refused_with_the_newest_known():
    error = refusal(promoted_cluster(), parsed("latest", timeline=7))

    assert "timeline 7 is not known; there are 1, 2" in error.message
    assert error.nearest == parsed("latest", timeline=2)


def test_a_target_on_the_wrong_timeline_is_refused_and_the_right_one_named():
    cluster = promoted_cluster()
    cluster.bases = [base(2), base(10, timeline=2)]
    error = refusal(cluster, parsed(str(position(11.5)), timeline=1))

    assert "timeline 2 leads there" in error.hint
    assert "timeline 2 leads there" in refusal(cluster, parsed(str(at(11.5)), timeline=1)).hint


def test_a_base_that_the_timeline_does_not_lead_on_from_is_refused():
    error = refusal(promoted_cluster(), parsed("latest", timeline=1, base="base-10"))

    assert "timeline 1 does not lead on from base-10" in error.message
    assert error.nearest == parsed("latest", timeline=1)


def test_a_missing_history_is_never_passed_over_by_following_the_old_timeline():
    cluster = promoted_cluster()
    cluster.histories = []
    del cluster.bases[2]
    error = refusal(cluster, "latest")

    assert (
        "the way from any base backup to timeline 2 is not known, because 00000002.history is missing"
        in error.message
    )
    assert error.hint.startswith("00000002.history is missing: look for it in pg_wal of the server")
    assert error.nearest == parsed("latest", timeline=1)


def test_a_missing_history_is_named_too_when_only_older_bases_would_do():
    cluster = promoted_cluster()
    cluster.histories = []

    assert "00000002.history is missing" in refusal(cluster, at(9)).hint


def test_a_promotion_that_would_take_a_used_timeline_again_is_warned_of():
    cluster = promoted_cluster()
    cluster.histories = [history(3, (1, 8.5), (2, 11))]
    (warning,) = plan(cluster, parsed("latest", timeline=1)).warnings

    assert warning.startswith("00000002.history is not there, and timeline 2 has been in use")


def test_the_next_free_timeline_is_looked_for_behind_all_histories():
    cluster = promoted_cluster()
    cluster.histories.append(history(3, (1, 8.5), (2, 11)))

    assert plan(cluster, parsed("latest", timeline=1)).warnings == ("timelines after 1 exist: 2, 3",)


def some_target(data):
    kind = data.draw(st.sampled_from(["time", "lsn", "name", "immediate", "latest"]))
    segments = data.draw(st.integers(0, 64)) / 4
    timeline = data.draw(st.sampled_from(["latest", "current", 1, 2, 5]))
    target = {"time": at(segments), "lsn": position(segments)}.get(kind) or parsed(
        {"name": "name:before"}.get(kind, kind)
    )
    found = lsn(segments) if kind == "name" and data.draw(st.booleans()) else None
    return replace(target, timeline=timeline, inclusive=data.draw(st.booleans())), found


@given(branched_clusters(), st.data())
def test_every_planned_list_of_segments_is_gapless_from_the_base_to_the_target(cluster, data):
    for number in data.draw(st.sets(st.integers(1, 12), max_size=3)):
        cluster.bases.append(base(number))
    target, found = some_target(data)
    try:
        made = plan(cluster, target, position=found)
    except RecoveryImpossibleError as error:
        if error.nearest is not None:
            plan(cluster, error.nearest, position=found)  # what is offered is possible
        return

    held = {name for name, _, _ in cluster.segments}
    listed = names(made.segments + made.following)
    numbers = [number.number for run in made.segments + made.following for number in run]
    assert held.issuperset(listed)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] == made.window.base.start.position // SIZE
    assert made.window.base.end <= made.end_lsn <= lsn(numbers[-1] + 1)
    if made.stop_lsn is not None:
        assert made.window.base.end <= made.stop_lsn <= made.end_lsn
        assert made.stop_lsn <= made.last_segment.end


@given(branched_clusters(), st.data())
def test_the_order_of_what_is_stored_does_not_change_a_plan(cluster, data):
    cluster.bases.append(base(3))
    target, found = some_target(data)
    turned = replace(
        cluster,
        bases=cluster.bases[::-1],
        segments=data.draw(st.permutations(cluster.segments)),
        histories=cluster.histories[::-1],
    )

    def outcome(of):
        try:
            made = plan(of, target, position=found)
        except RecoveryImpossibleError as error:
            return str(error)
        return made.chain, made.segments, made.following, made.why, made.warnings

    assert outcome(cluster) == outcome(turned)


def test_windows_are_the_same_objects_a_plan_is_made_from():
    found = plan(plain_cluster(), "latest")

    assert found.window in recovery_windows(plain_cluster().sources())
