"""Figures over time: medians, and no line through times of which nothing is known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from backstop.commands.recoverability.target import Sample
from backstop.model.figures import size_in_words
from backstop.ui.charts.series import draw_series

NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)


def draw(samples):
    return draw_series(
        samples, begins_at=NOW - timedelta(days=365), ends_at=NOW, in_words=lambda value: size_in_words(value)
    )


def daily(days, value=1e9):
    return [Sample(NOW - timedelta(days=day), value) for day in days]


@given(st.lists(st.tuples(st.integers(0, 365), st.floats(0, 1e12)), max_size=400))
def test_every_point_lies_inside_and_there_are_at_most_sixty_one(figures):
    samples = [Sample(NOW - timedelta(days=day), value) for day, value in sorted(figures, reverse=True)]

    chart = draw(samples)

    assert len(chart.points) <= 61
    for point in chart.points:
        assert chart.left <= point.x <= chart.right
        assert 0 <= point.y <= chart.bottom


def test_a_line_is_broken_where_nothing_came_for_long():
    assert len(draw(daily([*range(300, 200, -1), *range(100, 0, -1)])).paths) == 2
    assert len(draw(daily(range(300, 0, -1))).paths) == 1


def test_the_axis_reaches_the_greatest_though_the_line_shows_medians():
    chart = draw([*daily(range(300, 1, -1)), *daily([0], 9e9)])

    assert chart.newest == "9.0 GB"
    assert chart.levels[-1][1] == "10.0 GB"


def test_a_point_says_its_days_and_of_how_many_it_is_the_median():
    point = draw(daily(range(13, 0, -1))).points[0]

    assert point.title == "1.0 GB (2026-11-13)"
    assert draw(daily(range(30, 0, -1))).points[1].title == ("1.0 GB (2026-11-02 to 2026-11-07, median of 6)")


def test_nothing_at_all_has_an_axis_and_no_line():
    chart = draw([])

    assert (chart.paths, chart.points, chart.newest) == ((), (), "")
