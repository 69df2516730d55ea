"""The moment of a rehearsed disaster: drawn by its seed from the time that can be gone back to."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.drill_moment import Span, common, draw_moment, united

EPOCH = datetime(2026, 11, 1, tzinfo=timezone.utc)
MOMENTS = st.integers(0, 10**12).map(lambda count: EPOCH + timedelta(microseconds=count))
SPANS = st.tuples(MOMENTS, MOMENTS).map(lambda ends: Span(min(ends), max(ends)))
GROUPS = st.lists(SPANS, min_size=1, max_size=5)


def day(number: int) -> datetime:
    return EPOCH + timedelta(days=number)


@given(seed=st.text(max_size=40), spans=GROUPS)
def test_the_same_seed_and_window_give_the_same_moment(seed: str, spans: list[Span]) -> None:
    assert draw_moment(seed, spans) == draw_moment(seed, list(reversed(spans)))


@given(seed=st.text(max_size=40), spans=GROUPS)
def test_the_moment_lies_in_the_window(seed: str, spans: list[Span]) -> None:
    assert any(draw_moment(seed, spans) in span for span in spans)


@given(spans=GROUPS, moment=MOMENTS)
def test_united_spans_are_the_same_time_and_do_not_touch(spans: list[Span], moment: datetime) -> None:
    found = united(spans)

    assert any(moment in one for one in found) is any(moment in one for one in spans)
    assert all(one.ends_at < other.begins_at for one, other in itertools.pairwise(found))


@given(groups=st.lists(GROUPS, min_size=1, max_size=4), moment=MOMENTS)
def test_what_is_common_lies_in_every_group(groups: list[list[Span]], moment: datetime) -> None:
    everywhere = all(any(moment in span for span in group) for group in groups)

    assert any(moment in one for one in common(groups)) is everywhere


@given(groups=st.lists(GROUPS, min_size=1, max_size=3), seed=st.text(max_size=10))
def test_a_moment_drawn_from_what_is_common_can_be_gone_back_to_by_all(
    groups: list[list[Span]], seed: str
) -> None:
    shared = common(groups)
    if shared:
        assert all(any(draw_moment(seed, shared) in span for span in group) for group in groups)


def test_every_part_of_the_window_is_as_likely_and_gaps_are_never_drawn() -> None:
    spans = [Span(day(0), day(1)), Span(day(5), day(8))]

    drawn = [draw_moment(str(seed), spans) for seed in range(2000)]

    first = sum(moment <= day(1) for moment in drawn)
    assert 400 < first < 600
    assert sum(day(5) <= moment <= day(8) for moment in drawn) == 2000 - first


def test_a_window_of_one_moment_gives_that_moment() -> None:
    assert draw_moment("any", [Span(day(3), day(3))]) == day(3)


@pytest.mark.parametrize("spans", [[], [Span(day(2), day(1))]])
def test_nothing_is_drawn_from_no_time(spans: list[Span]) -> None:
    with pytest.raises(ValueError, match="no time to draw"):
        draw_moment("any", spans)
