"""A forecast holds what eight of ten later restores take, and says less the less it knows."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.model.forecast import Restore, forecast
from backstop.model.restore_rates import fitted

GB = 10**9
UNTIMED = settings(deadline=None)
"""A busy machine is no fault of the code."""


def takes(random, size, segments=0):
    """8 s, 100 MB/s and four segments a second; 15 % noise, and one in thirty three times as long."""
    slow = 3 if random.random() < 1 / 30 else 1
    return (8 + size / (GB / 10) + segments / 4) * random.lognormvariate(0, 0.15) * slow


def restores(random, count, sizes, most_segments=0) -> list[Restore]:
    drawn = []
    for _ in range(count):
        size = round(random.choice(sizes) * random.uniform(0.7, 1.3))
        segments = random.randint(0, most_segments)
        drawn.append(Restore(size, takes(random, size, segments), segments))
    return drawn


def share_within(seed, count, sizes, *, later, segments=0, worlds=100) -> float:
    random = Random(seed)
    within = 0
    for _ in range(worlds):
        seen = restores(random, count, sizes, 2 * segments)
        told = forecast(seen, bytes=later, segments=segments)
        within += told.low_seconds <= takes(random, later, segments) <= told.high_seconds
    return within / worlds


@pytest.mark.parametrize("count", [3, 5, 9, 30])
@pytest.mark.parametrize("size", [GB // 10, 50 * GB], ids=["small", "large"])
def test_eight_of_ten_later_restores_of_that_size_lie_within(count, size):
    assert 0.8 <= share_within(1, count, [size], later=size) <= 0.98


@pytest.mark.parametrize("size", [GB // 10, 50 * GB], ids=["small", "large"])
def test_eight_of_ten_lie_within_at_either_size_when_both_were_seen(size):
    assert 0.8 <= share_within(2, 12, [GB // 10, 50 * GB], later=size) <= 0.98


def test_eight_of_ten_lie_within_with_wal_to_replay():
    assert 0.8 <= share_within(3, 12, [2 * GB, 4 * GB], later=3 * GB, segments=200) <= 0.98


@pytest.mark.parametrize("count", [5, 12])
def test_twice_the_size_of_all_before_lies_within_at_least_as_often(count):
    assert share_within(4, count, [5 * GB], later=10 * GB) >= 0.8


def test_fewer_than_three_tell_nothing():
    assert forecast([], bytes=GB) is None
    assert forecast([Restore(GB, 20.0)] * 2, bytes=GB) is None
    assert forecast([Restore(GB, 20.0), Restore(GB, 0.0), Restore(GB, 21.0)], bytes=GB) is None
    assert forecast([Restore(GB, 20.0)] * 3, bytes=GB).samples == 3


def test_three_restores_that_differ_are_trusted_little():
    told = forecast([Restore(GB, 10.0), Restore(GB, 20.0), Restore(GB, 40.0)], bytes=GB)

    assert told.median_seconds == pytest.approx(20)
    # Student's t of two degrees of freedom, of a deviation by a factor of two.
    assert told.high_seconds == pytest.approx(207, rel=0.01)
    assert told.low_seconds == pytest.approx(1.93, rel=0.01)


def test_a_fixed_cost_is_told_from_a_rate_by_restores_of_different_sizes():
    seen = [Restore(number * GB, 30 + 10.0 * number) for number in range(1, 9)]

    rates = fitted(seen)

    assert rates.fixed == pytest.approx(30, rel=0.01)
    assert rates.per_byte == pytest.approx(10 / GB, rel=0.01)
    assert forecast(seen, bytes=16 * GB).median_seconds == pytest.approx(190, rel=0.01)


def test_replaying_wal_is_told_from_copying_files():
    random = Random(5)
    seen = [
        Restore(size * GB, 5 + 10.0 * size + 0.25 * segments, segments)
        for size, segments in ((random.randint(1, 9), random.randint(0, 400)) for _ in range(15))
    ]

    assert forecast(seen, bytes=5 * GB, segments=800).median_seconds == pytest.approx(255, rel=0.02)


@pytest.mark.parametrize("times", [0.1, 10])
@pytest.mark.parametrize("place", [0, 5, 11])
def test_one_restore_that_took_ten_times_as_long_or_a_tenth_bends_nothing(place, times):
    seen = [Restore(number * GB, 30 + 10.0 * number) for number in range(1, 13)]
    seen[place] = Restore(seen[place].bytes, seen[place].seconds * times)

    for number in (1, 6, 12):
        assert forecast(seen, bytes=number * GB).median_seconds == pytest.approx(30 + 10 * number, rel=0.01)


def test_time_that_falls_with_size_is_not_carried_below_zero():
    seen = [Restore(number * GB, 100.0 - 10 * number) for number in range(1, 9)]

    assert 0 < forecast(seen, bytes=100 * GB).low_seconds < 100


def test_what_grows_in_proportion_has_no_fixed_cost():
    seen = [Restore(number * GB, 10.0 * number) for number in range(1, 9)]

    assert fitted(seen).fixed == pytest.approx(0, abs=0.01)


def test_sizes_and_wal_that_always_grow_together_are_still_forecast():
    seen = [Restore(number * GB, 10.0 * number, 100 * number) for number in range(1, 9)]

    assert forecast(seen, bytes=4 * GB, segments=400).median_seconds == pytest.approx(40, rel=0.05)


def test_beyond_what_was_seen_it_holds_both_that_time_stays_and_that_it_grows():
    seen = [Restore(GB, 20.0 + number / 10) for number in range(5)]
    same, larger, smaller = (forecast(seen, bytes=size) for size in (GB, 4 * GB, GB // 4))

    assert (larger.low_seconds, larger.high_seconds) == (
        pytest.approx(20, rel=0.05),
        pytest.approx(81, rel=0.05),
    )
    assert (smaller.low_seconds, smaller.high_seconds) == (
        pytest.approx(5, rel=0.05),
        pytest.approx(20, rel=0.05),
    )
    assert same.high_seconds / same.low_seconds < larger.high_seconds / larger.low_seconds


def test_wal_never_replayed_before_counts_as_files():
    seen = [Restore(1600 * 1024 * 1024, 20.0)] * 5

    assert forecast(seen, bytes=1600 * 1024 * 1024, segments=100).median_seconds == pytest.approx(30)


def test_restores_of_always_the_same_time_are_not_believed_to_the_tenth_of_a_second():
    told = forecast([Restore(GB, 20.0)] * 20, bytes=GB)

    assert told.low_seconds < 20 < told.high_seconds


def test_only_the_newest_forty_count():
    seen = [Restore(GB, 500.0)] * 100 + [Restore(GB, 20.0)] * 40

    assert forecast(seen, bytes=GB).median_seconds == pytest.approx(20)
    assert forecast(seen, bytes=GB).samples == 40


SEEN = st.lists(
    st.builds(Restore, st.integers(0, 10**13), st.floats(0.001, 10**6), st.integers(0, 10**6)),
    min_size=3,
    max_size=20,
)


@UNTIMED
@given(SEEN, st.integers(0, 10**13), st.integers(0, 10**6))
def test_the_interval_holds_the_median_whatever_was_seen(seen, size, segments):
    told = forecast(seen, bytes=size, segments=segments)

    assert 0 <= told.low_seconds <= told.median_seconds <= told.high_seconds
    assert told.samples == len(seen)


@UNTIMED
@given(SEEN, st.integers(0, 10**13), st.integers(0, 10**6), st.integers(0, 10**12))
def test_more_bytes_never_take_less(seen, size, segments, more):
    assert (
        forecast(seen, bytes=size + more, segments=segments).median_seconds
        >= forecast(seen, bytes=size, segments=segments).median_seconds
    )


def test_small_restores_that_scatter_more_than_large_ones_have_an_interval_of_their_own():
    """What else a machine does is much of a second, and little of an hour."""
    within, worlds = {"small": 0, "large": 0}, 60
    for seed in range(worlds):
        random = Random(seed)

        def small(random=random) -> Restore:
            return Restore(4_500_000, 0.6 * random.lognormvariate(0, 0.4))

        def large(random=random) -> Restore:
            return Restore(65_000_000, 6.0 * random.lognormvariate(0, 0.1))

        before = [draw() for _ in range(10) for draw in (small, large)]
        for size, came in (("small", small()), ("large", large())):
            said = forecast(before, bytes=came.bytes)
            within[size] += said.low_seconds <= came.seconds <= said.high_seconds

    assert all(0.8 <= hits / worlds <= 0.98 for hits in within.values()), within
