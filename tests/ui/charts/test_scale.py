"""Axes: words that do not touch, figures that are round."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.ui.charts.scale import TimeScale, round_up, round_up_seconds

NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)


@given(st.floats(0.02, 4000), st.sampled_from((62, 70, 120)))
def test_words_at_the_axis_never_touch_and_lie_inside(days, apart):
    scale = TimeScale(NOW - timedelta(days=days), NOW, 150, 1186)

    ticks = scale.ticks(apart=apart)

    assert all(150 <= tick.at <= 1186 for tick in ticks)
    assert all(later.at - earlier.at >= apart - 0.02 for earlier, later in pairwise(ticks))
    assert len(ticks) >= 2 or days < 0.3


@given(st.timedeltas(timedelta(-60), timedelta(60)), st.timedeltas(timedelta(-60), timedelta(60)))
def test_later_is_never_further_left(one, other):
    scale = TimeScale(NOW - timedelta(days=30), NOW, 0, 100)
    earlier, later = sorted((NOW + one, NOW + other))

    assert 0 <= scale(earlier) <= scale(later) <= 100


def test_weeks_begin_on_a_monday():
    scale = TimeScale(NOW - timedelta(days=90), NOW, 150, 1186)

    assert [tick.label for tick in scale.ticks()][:2] == ["31 Aug", "7 Sep"]


@given(st.floats(1e-6, 1e15))
def test_an_axis_ends_above_what_it_shows_and_not_far_above(value):
    assert value * 0.999 <= round_up(value) <= value * 2.6


@pytest.mark.parametrize(("seconds", "top"), [(0.2, 1), (3, 4), (61, 120), (3600, 3600), (200_000, 345_600)])
def test_durations_end_at_what_people_count_in(seconds, top):
    assert round_up_seconds(seconds) == top


def test_an_axis_of_nothing_ends_at_one():
    assert round_up(0) == 1
