from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.rotation import CIRCLE, Arc

shares = st.floats(min_value=0.02, max_value=1)
keys = st.text(min_size=1, max_size=40)


@given(shares, st.integers(0, CIRCLE - 1), st.lists(keys, min_size=1, max_size=20, unique=True))
def test_arcs_that_follow_each_other_come_by_every_key_once_before_one_comes_again(share, start, names):
    arc = Arc.of_share(share, start=start)
    seen: list[str] = []
    places = 0
    while places + arc.width <= CIRCLE:
        seen += [name for name in names if arc.has(name)]
        places += arc.width
        arc = Arc.of_share(share, start=arc.end)
    last = Arc(arc.start, CIRCLE - places)
    seen += [name for name in names if last.has(name)]

    assert sorted(seen) == sorted(names)


@given(keys, st.integers(0, CIRCLE - 1))
def test_the_whole_circle_has_every_key_and_ends_where_it_began(name, start):
    arc = Arc.of_share(1, start=start)

    assert arc.whole
    assert arc.has(name)
    assert arc.end == start


def test_keys_are_spread_evenly_whatever_they_are_called():
    arc = Arc.of_share(0.1)

    assert 900 < sum(arc.has(f"calibrify/data/database/x/1/t/{number}") for number in range(10_000)) < 1100
    assert not arc.whole


def test_another_seed_draws_other_keys():
    one, other = Arc.of_share(0.5), Arc.of_share(0.5, seed=1)

    assert {n for n in range(100) if one.has(str(n))} != {n for n in range(100) if other.has(str(n))}


@pytest.mark.parametrize("share", [0, -1, float("nan")])
def test_no_share_is_refused(share):
    with pytest.raises(ValueError, match="is nothing"):
        Arc.of_share(share)
