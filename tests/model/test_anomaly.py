"""A size that is not in line with the ones before is found; growth, weekends and noise are not."""

from datetime import datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.model.anomaly import FEWEST, Sample, size_anomaly

MONDAY = datetime(2026, 10, 26, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
MB = 1_000_000
UNTIMED = settings(deadline=None)
"""A busy machine is no fault of the code."""


def nightly(sizes, start=MONDAY) -> list[Sample]:
    return [Sample(start + day * DAY, round(size)) for day, size in enumerate(sizes)]


def judged(sizes, newest):
    """The newest, a day after nightly ones of these sizes."""
    return size_anomaly(nightly(sizes), Sample(MONDAY + len(sizes) * DAY, round(newest)))


def found_in(samples) -> list[int]:
    """Which of them were found when they were the newest."""
    return [
        number for number, newest in enumerate(samples) if size_anomaly(samples[:number], newest) is not None
    ]


def test_forty_percent_of_the_size_is_found_and_said_in_figures():
    anomaly = judged([1000 * MB] * 30, 400 * MB)

    assert (anomaly.bytes, anomaly.expected_bytes) == (400 * MB, 1000 * MB)
    assert (anomaly.low_bytes, anomaly.high_bytes) == (800 * MB, 1250 * MB)
    assert anomaly.sentence == (
        "is 400 MB, 40 % of what was expected from the last 28: 1.0 GB, between 800 MB and 1.2 GB"
    )


@pytest.mark.parametrize("count", [FEWEST, 10, 20, 21, 22, 60])
def test_forty_percent_is_found_from_the_fifth_on(count):
    assert judged([1000 * MB] * count, 400 * MB) is not None
    assert judged([1000 * MB] * (FEWEST - 1), 400 * MB) is None


def test_ten_times_the_size_is_found_too():
    assert "25 times of what was expected" in judged([1000 * MB] * 30, 25_000 * MB).sentence
    assert "300 % of what was expected" in judged([1000 * MB] * 30, 3_000 * MB).sentence


def test_an_empty_backup_is_found():
    assert judged([50 * MB] * 9, 0).sentence.startswith("is 0 B, 0 % of")


def test_three_percent_a_day_is_quiet_on_each_day_of_a_month():
    assert found_in(nightly(1000 * MB * 1.03**day for day in range(31))) == []


def test_growth_that_begins_after_a_month_of_standing_still_is_quiet():
    sizes = [1000 * MB] * 30 + [1000 * MB * 1.03**day for day in range(31)]

    assert found_in(nightly(sizes)) == []


@pytest.mark.parametrize("growth", [0.97, 1.0, 1.03])
def test_forty_percent_is_found_on_any_day_of_growth(growth):
    for day in range(FEWEST, 40):
        sizes = [1000 * MB * growth**number for number in range(day + 1)]

        assert judged(sizes[:-1], 0.4 * sizes[-1]) is not None


def weekly(weeks, weekend=0.6, seed=3):
    noise = Random(seed)
    return [
        1000 * MB * (weekend if day % 7 in (5, 6) else 1) * noise.lognormvariate(0, 0.02)
        for day in range(7 * weeks)
    ]


@pytest.mark.parametrize("begin", range(7))
def test_smaller_weekends_are_quiet_whichever_day_it_all_began(begin):
    assert found_in(nightly(weekly(8)[begin:], start=MONDAY + begin * DAY)) == []


def test_a_tuesday_as_small_as_a_weekend_is_found_and_so_is_a_loss_on_a_saturday():
    sizes = weekly(5)
    tuesday = size_anomaly(nightly(sizes), Sample(MONDAY + 36 * DAY, 600 * MB))
    saturday = size_anomaly(nightly(sizes), Sample(MONDAY + 40 * DAY, 240 * MB))

    assert tuesday is not None
    assert saturday is not None
    assert "those at the same time of the week" in saturday.sentence
    assert saturday.high_bytes < 800 * MB


def test_smaller_nights_of_hourly_backups_are_quiet_and_a_loss_at_night_is_not():
    def size(hour):
        return 20 * MB if hour % 24 < 6 else 100 * MB

    hourly = [Sample(MONDAY + timedelta(hours=hour), size(hour)) for hour in range(24 * 20)]

    assert [number for number in found_in(hourly) if number >= 72] == []
    assert size_anomaly(hourly, Sample(MONDAY + timedelta(hours=24 * 20), 8 * MB)) is not None


def test_a_change_after_sizes_without_any_scatter_is_quiet_up_to_a_quarter():
    constant = [1000 * MB] * 30

    assert judged(constant, 1000 * MB + 1) is None
    assert judged(constant, 810 * MB) is None
    assert judged(constant, 1240 * MB) is None
    assert judged(constant, 790 * MB) is not None
    assert judged(constant, 1260 * MB) is not None


@pytest.mark.parametrize("outlier", [0.01, 0.4, 5, 100])
def test_one_outlier_in_the_past_hides_nothing_and_makes_nothing_up(outlier):
    for place in range(8):
        sizes = [1000 * MB] * 8
        sizes[place] = outlier * 1000 * MB

        assert judged(sizes, 1000 * MB) is None
        assert judged(sizes, 400 * MB) is not None


def test_a_size_that_stays_is_the_new_size_after_four_backups():
    assert found_in(nightly([1000 * MB] * 30 + [400 * MB] * 30)) == [30, 31, 32, 33]


def test_a_size_that_stays_is_the_new_size_where_no_weekday_tells_of_it_too():
    sizes = [1000 * MB] * 25 + [400 * MB] * 10
    irregular = [Sample(MONDAY + number * timedelta(hours=50), size) for number, size in enumerate(sizes)]

    assert found_in(irregular) == [25, 26, 27, 28]


def test_a_difference_of_a_few_kilobytes_is_not_worth_a_word():
    assert judged([60_000] * 30, 1_000) is None
    assert judged([70_000] * 30, 1_000) is not None


def test_sizes_that_always_scatter_widely_are_left_alone():
    noise = Random(11)
    sizes = [100 * MB * noise.lognormvariate(0, 0.8) for _ in range(60)]

    assert len(found_in(nightly(sizes))) <= 1


def test_a_few_backups_within_minutes_say_nothing_about_days():
    minutes = [Sample(MONDAY + number * timedelta(minutes=1), (1000 + number) * MB) for number in range(6)]

    assert size_anomaly(minutes, Sample(MONDAY + 3 * DAY, 1010 * MB)) is None
    assert size_anomaly(minutes, Sample(MONDAY + 3 * DAY, 400 * MB)) is not None


def test_growth_is_not_carried_on_through_a_long_pause():
    growing = nightly(1000 * MB * 1.03**day for day in range(31))
    much_later = MONDAY + 330 * DAY

    assert size_anomaly(growing, Sample(much_later, round(1000 * MB * 1.03**330))) is not None
    assert size_anomaly(growing, Sample(much_later, round(1000 * MB * 1.03**31))) is None


def test_what_is_not_older_is_not_compared_with():
    newest = Sample(MONDAY, 400 * MB)

    assert size_anomaly(nightly([1000 * MB] * 30), newest) is None


def test_backups_all_of_one_moment_are_compared_without_a_trend():
    assert size_anomaly([Sample(MONDAY, 1000 * MB)] * 9, Sample(MONDAY + DAY, 400 * MB)) is not None


@UNTIMED
@given(
    st.lists(st.integers(0, 10**13), max_size=40),
    st.integers(0, 10**13),
    st.randoms(use_true_random=False),
)
def test_what_it_says_holds_for_any_sizes_in_any_order(sizes, newest, random):
    samples = nightly(sizes)
    mixed = random.sample(samples, len(samples))

    anomaly = size_anomaly(mixed, Sample(MONDAY + len(sizes) * DAY, newest))

    assert anomaly == judged(sizes, newest)
    if anomaly is not None:
        assert not anomaly.low_bytes <= newest <= anomaly.high_bytes
        assert anomaly.low_bytes <= anomaly.expected_bytes <= anomaly.high_bytes


@UNTIMED
@given(st.lists(st.integers(900, 1100), min_size=FEWEST, max_size=40))
def test_a_size_among_those_before_is_quiet_and_a_tenth_of_them_is_not(sizes):
    sizes = [size * MB for size in sizes]

    assert judged(sizes, sorted(sizes)[len(sizes) // 2]) is None
    assert judged(sizes, 1 * MB) is not None


@UNTIMED
@given(st.floats(0.93, 1.07), st.integers(1, 40), st.floats(1e6, 1e12))
def test_steady_growth_or_shrinking_is_always_quiet(factor, days, first):
    assert judged([first * factor**day for day in range(days)], first * factor**days) is None
