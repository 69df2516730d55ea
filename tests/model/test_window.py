"""From when to when each base backup can be rolled forward, and what ends it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.lsn import Lsn
from backstop.model.wal import StoredWal
from backstop.model.wal_path import cover
from backstop.model.window import BaseBackup, recovery_windows, timeline_problems
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
from tests.model.test_backup import MANIFEST

OTHER = "00000000000000ff"


def windows(cluster, timeline=1):
    return {
        window.base.label: window
        for window in recovery_windows(cluster.sources())
        if window.timeline == timeline
    }


def test_a_window_reaches_from_the_end_of_the_base_to_the_end_of_the_last_segment():
    window = windows(plain_cluster())["base-2"]

    assert (window.start_lsn, window.start_time) == (lsn(2.5), minute(2.5))
    assert (window.end_lsn, window.end_time) == (lsn(10), minute(10))
    assert not window.has_gap
    assert str(window) == (
        f"base-2 on timeline 1: {lsn(2.5)} to {lsn(10)}, where nothing newer is stored "
        f"(segment {segment(10)} is not)"
    )


def test_a_missing_segment_ends_the_windows_before_it_and_is_named():
    found = windows(plain_cluster().without(4))

    assert (found["base-2"].end_lsn, found["base-2"].has_gap) == (lsn(4), True)
    assert found["base-2"].ends_because == (
        f"segment {segment(4)} is missing; the next that is stored is {segment(5)}"
    )
    assert found["base-6"].end_lsn == lsn(10)


def test_a_base_backup_without_its_own_wal_cannot_be_restored_at_all():
    window = windows(plain_cluster().without(6))["base-6"]

    assert window.end_lsn is None
    assert window.end_time is None
    assert str(window) == (
        f"base-6 on timeline 1: cannot be restored, because it needs WAL up to {lsn(6.5)} to be consistent, "
        f"and segment {segment(6)} is missing; the next that is stored is {segment(7)}"
    )


def test_a_base_backup_whose_wal_is_not_stored_yet_says_so():
    window = windows(Cluster([base(2)], [stored(0)]))["base-2"]

    assert window.end_lsn is None
    assert f"nothing newer is stored (segment {segment(2)} is not)" in window.ends_because


def test_two_contents_of_a_segment_end_a_window_like_a_gap():
    cluster = plain_cluster()
    cluster.segments.append(stored(8, sha16=OTHER))
    window = windows(cluster)["base-6"]

    assert (window.end_lsn, window.has_gap) == (lsn(8), True)
    assert window.ends_because == (
        f"segment {segment(8)} is stored with different contents (00000000000000aa, {OTHER})"
    )


def test_a_conflict_in_the_last_segment_is_not_taken_for_the_end_of_wal():
    cluster = plain_cluster()
    cluster.segments.append(stored(9, sha16=OTHER))
    cluster.tails.append(piece(9, 0, SIZE // 2))
    window = windows(cluster)["base-6"]

    assert (window.end_lsn, window.has_gap) == (lsn(9), True)


def test_the_tail_of_the_growing_segment_extends_the_window():
    cluster = plain_cluster()
    cluster.tails += [piece(10, 0, SIZE // 4), piece(10, SIZE // 4, SIZE // 4)]
    window = windows(cluster)["base-6"]

    assert (window.end_lsn, window.end_time, window.has_gap) == (lsn(10.5), minute(10.5), False)
    assert window.coverage.tail_segment == segment(10)


@pytest.mark.parametrize(("kept", "end"), [(1, 10.25), (0, 10)])
def test_a_tail_counts_only_as_far_as_it_leads_on_from_its_first_byte(kept, end):
    cluster = plain_cluster()
    quarter = SIZE // 4
    cluster.tails += [piece(10, 0, quarter)] * kept + [piece(10, 2 * quarter, quarter)]
    window = windows(cluster)["base-6"]

    assert (window.end_lsn, window.has_gap) == (lsn(end), True)
    assert window.ends_because == (
        f"segment {segment(10)} is still growing, and its bytes {kept * quarter} to {2 * quarter} are missing"
    )


def test_a_tail_beyond_a_gap_shows_that_there_is_a_gap():
    cluster = plain_cluster()
    cluster.tails += [piece(11, 0, 100)]
    window = windows(cluster)["base-6"]

    assert window.ends_because == (
        f"segment {segment(10)} is missing; the next that is stored is {segment(11)}"
    )


def test_a_base_backup_may_live_in_the_tail_alone():
    cluster = Cluster([base(2)], [], [piece(2, 0, SIZE * 3 // 4)])

    assert windows(cluster)["base-2"].end_lsn == lsn(2.75)


def test_an_incremental_backup_needs_all_its_parents():
    cluster = plain_cluster()
    cluster.bases = [
        base(2, label="full"),
        base(4, label="incr-1", parent="full"),
        base(6, label="incr-2", parent="incr-1"),
    ]

    assert windows(cluster)["incr-2"].chain == ("full", "incr-1", "incr-2")
    del cluster.bases[1]
    assert windows(cluster)["incr-2"].ends_because == "incr-2 builds on incr-1, which is not there"
    assert windows(cluster)["full"].end_lsn == lsn(10)


def test_an_incremental_backup_is_no_better_than_its_parent():
    cluster = plain_cluster()
    cluster.bases = [base(2, label="full", unusable="it is signed by nobody we trust")]
    cluster.bases.append(base(4, label="incr", parent="full"))

    for window in windows(cluster).values():
        assert window.ends_because == "full cannot be used: it is signed by nobody we trust"
        assert not window.has_gap


def test_backups_that_build_on_each_other_are_refused():
    cluster = plain_cluster()
    cluster.bases = [base(2, label="a", parent="b"), base(3, label="b", parent="a")]

    assert windows(cluster)["a"].ends_because == "b builds on itself"


def test_base_backups_of_another_cluster_have_no_window_here():
    cluster = plain_cluster()
    cluster.bases = [base(2, system_id="42")]

    assert recovery_windows(cluster.sources()) == ()


def test_a_promotion_opens_a_way_onto_the_new_timeline_and_leaves_the_old_one():
    old, new = windows(promoted_cluster()), windows(promoted_cluster(), timeline=2)

    assert {label: window.end_lsn for label, window in old.items()} == {"base-2": lsn(10), "base-6": lsn(10)}
    assert {label: window.end_lsn for label, window in new.items()} == {
        "base-2": lsn(12),
        "base-6": lsn(12),
        "base-10": lsn(12),
    }
    # The segment of the switch is taken from the new timeline.
    assert [str(run) for run in new["base-6"].coverage.runs] == [
        f"{segment(6)} to {segment(7)}",
        f"{segment(8, 2)} to {segment(11, 2)}",
    ]


def test_a_backup_that_ended_after_the_switch_does_not_lead_onto_the_new_timeline():
    cluster = promoted_cluster()
    cluster.bases.append(base(8, end=lsn(8.6)))

    assert "base-8" in windows(cluster)
    assert "base-8" not in windows(cluster, timeline=2)


def test_a_backup_that_began_before_its_timeline_is_not_believed():
    cluster = promoted_cluster()
    cluster.bases = [base(8, timeline=2)]

    assert windows(cluster, timeline=2) == {}


def test_without_the_new_timelines_first_segment_the_old_one_serves_up_to_the_switch():
    window = windows(promoted_cluster().without(8, timeline=2), timeline=2)["base-6"]

    assert window.end_lsn == lsn(8.5)
    assert window.ends_because == (
        f"segment {segment(8, 2)} is missing; the next that is stored is {segment(9, 2)}"
    )
    assert str(window.coverage.runs[-1]) == segment(8).name
    assert window.end_time == minute(9)


def test_a_tail_of_the_old_timeline_serves_up_to_the_switch_when_nothing_of_the_new_one_is_stored():
    cluster = Cluster([base(6)], [stored(6), stored(7)], [piece(8, 0, SIZE * 3 // 4)])
    cluster.histories = [history(2, (1, 8.5))]
    window = windows(cluster, timeline=2)["base-6"]

    assert window.end_lsn == lsn(8.5)
    assert not window.has_gap
    assert window.coverage.tail_segment == segment(8)


def test_a_switch_at_the_end_of_a_segment_needs_nothing_twice():
    cluster = Cluster(
        [base(6)], [stored(6), stored(7), stored(8, 2), stored(9, 2)], histories=[history(2, (1, 8))]
    )

    assert windows(cluster, timeline=2)["base-6"].end_lsn == lsn(10)
    stopped = windows(cluster.without(8, timeline=2), timeline=2)["base-6"]
    assert stopped.end_lsn == lsn(8)


def test_wal_missing_before_a_switch_is_a_gap_even_when_nothing_is_stored_behind_it():
    cluster = Cluster([base(2)], [stored(2), stored(3)], histories=[history(2, (1, 8.5))])
    window = windows(cluster, timeline=2)["base-2"]

    assert window.has_gap
    assert window.ends_because == f"segment {segment(4)} is missing, before timeline 2 begins at {lsn(8.5)}"


def test_a_timeline_that_nothing_was_needed_of_is_passed_through():
    cluster = Cluster(
        [base(6)],
        [stored(6), stored(7), stored(8, 3), stored(9, 3)],
        histories=[history(3, (1, 8.25), (2, 8.5))],
    )

    assert windows(cluster, timeline=3)["base-6"].end_lsn == lsn(10)


def test_without_a_history_only_backups_of_the_timeline_itself_lead_along_it():
    cluster = promoted_cluster()
    cluster.histories = []
    cluster.segments.append(stored(5)._replace(name="rubbish"))

    assert list(windows(cluster, timeline=2)) == ["base-10"]
    assert timeline_problems(cluster.sources()) == (
        "00000002.history is missing: no base backup of an older timeline can be rolled onto 2",
        "rubbish is not the name of a WAL segment of this cluster",
    )
    assert timeline_problems(promoted_cluster().sources()) == ()


def test_a_manifest_of_a_base_backup_says_all_that_is_needed():
    manifest = replace(MANIFEST, start_lsn="0/2000028", end_lsn="0/2000100", timeline=1)
    made = BaseBackup.from_manifest(manifest, unusable="x")

    assert (made.label, made.parent, made.server_major) == (
        "20261123T010000Z-dump",
        "20261122T010000Z-full",
        18,
    )
    assert (made.start, made.end, made.finished_at) == (
        Lsn.parse("0/2000028"),
        Lsn.parse("0/2000100"),
        manifest.snapshot_at,
    )
    assert BaseBackup.from_manifest(replace(manifest, parent=None)).parent is None
    with pytest.raises(ValueError, match="it is no base backup"):
        BaseBackup.from_manifest(MANIFEST)


def test_a_path_without_timelines_leads_nowhere():
    wal = StoredWal.collect([], system_id="1", segment_bytes=SIZE)

    with pytest.raises(ValueError, match="at least one timeline"):
        cover(wal, [], lsn(2))


SWITCHES = st.lists(st.integers(2, 40), max_size=3).map(sorted)


@st.composite
def branched_clusters(draw):
    """Up to four timelines, switching at quarters of segments, with any set of segments stored."""
    cluster = Cluster([base(0, end=lsn(0.25), start=lsn(0))])
    switches = [quarter / 4 for quarter in draw(SWITCHES)]
    for timeline in range(1, len(switches) + 2):
        numbers = draw(st.sets(st.integers(0, 14)))
        cluster.segments += [stored(number, timeline) for number in sorted(numbers)]
        if timeline > 1:
            parents = [(parent + 1, at) for parent, at in enumerate(switches[: timeline - 1])]
            cluster.histories.append(history(timeline, *parents))
    return cluster


def reach(cluster, timeline):
    """What PostgreSQL would find: for each quarter of a segment a file of any timeline it may be in."""
    path = cluster.sources().histories.path_to(timeline)
    names = {stored.name for stored in cluster.segments}
    quarter = 0
    while any(
        segment(quarter // 4, span.timeline).name in names
        and span.begin.position // SIZE <= quarter // 4
        and (span.end is None or lsn(quarter / 4) < span.end)
        for span in path
    ):
        quarter += 1
    return lsn(quarter / 4)


@given(branched_clusters(), st.randoms(use_true_random=False))
def test_windows_are_what_looking_at_every_position_finds_in_any_order_of_input(cluster, shuffle):
    for part in (cluster.segments, cluster.histories):
        shuffle.shuffle(part)

    for window in recovery_windows(cluster.sources()):
        end = reach(cluster, window.timeline)
        assert window.end_lsn == (end if end >= window.start_lsn else None)


@given(branched_clusters(), st.data())
def test_removing_a_segment_never_widens_a_window(cluster, data):
    before = {(w.base.label, w.timeline): w for w in recovery_windows(cluster.sources())}
    if not cluster.segments:
        return
    gone = data.draw(st.sampled_from(cluster.segments))
    cluster.segments.remove(gone)

    for window in recovery_windows(cluster.sources()):
        old = before[window.base.label, window.timeline]
        if window.end_lsn is not None:
            assert old.end_lsn is not None
            assert window.end_lsn <= old.end_lsn
            assert window.end_time <= old.end_time


@given(branched_clusters())
def test_the_segments_of_a_window_follow_each_other_without_a_gap(cluster):
    for window in recovery_windows(cluster.sources()):
        numbers = [found.number for run in window.coverage.runs for found in run]
        assert numbers == list(range(len(numbers)))
        assert sum(len(run) for run in window.coverage.runs) == len(numbers)
