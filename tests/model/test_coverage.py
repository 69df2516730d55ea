"""Pieces acknowledged in any order: how far they reach without a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.coverage import Coverage
from backstop.model.lsn import Lsn

PIECES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=30)


def test_a_piece_beyond_a_gap_counts_once_the_gap_is_filled():
    coverage = Coverage(Lsn(10))

    assert not coverage.add(Lsn(20), Lsn(30))
    assert coverage.end == Lsn(10)
    assert coverage.add(Lsn(10), Lsn(20))
    assert coverage.end == Lsn(30)


def test_what_is_there_already_moves_nothing():
    coverage = Coverage(Lsn(10))

    assert not coverage.add(Lsn(0), Lsn(10))
    assert coverage.end == Lsn(10)


@given(PIECES)
def test_the_end_is_the_first_position_that_no_piece_holds(pieces):
    coverage = Coverage(Lsn(5))
    for start, length in pieces:
        coverage.add(Lsn(start), Lsn(start + length))

    held = {position for start, length in pieces for position in range(start, start + length)}
    first_absent = next(position for position in range(5, 200) if position not in held)
    assert coverage.end == Lsn(first_absent)
