"""A listing of WAL becomes answers: what is there, what is not, what is there twice."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.lsn import MEBIBYTE
from backstop.model.wal import StoredSegment, StoredWal, WalConflict
from backstop.model.wal_tail import assemble_tail
from tests.model.recovering import SIZE, minute, piece, segment, stored

OTHER = "00000000000000ff"


def collect(segments, tails=()):
    return StoredWal.collect(segments, system_id="1", segment_bytes=SIZE, tails=tails)


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(0, 60), st.randoms(use_true_random=False))
def test_runs_without_gaps_are_found_in_any_order_of_names(numbers, start, shuffle):
    listing = [stored(number) for number in sorted(numbers)]
    shuffle.shuffle(listing)
    wal = collect(listing)

    expected = start
    while expected in numbers:
        expected += 1
    assert wal.contiguous_end(1, start) == expected
    assert wal.next_stored(1, start) == min((number for number in numbers if number > start), default=None)


def test_each_timeline_has_segments_of_its_own():
    wal = collect([stored(1), stored(2, 2)])

    assert wal.timelines == {1, 2}
    assert (wal.contiguous_end(1, 1), wal.contiguous_end(2, 1), wal.contiguous_end(3, 1)) == (2, 1, 1)
    assert wal.next_stored(3, 0) is None


def test_a_segment_is_known_by_the_hash_in_its_name():
    wal = collect([stored(1, sha16="0123456789abcdef")])

    assert wal.sha16(segment(1)) == "0123456789abcdef"
    assert wal.sha16(segment(2)) is None
    assert wal.sha16(segment(1, 2)) is None


def test_two_contents_of_one_segment_are_a_conflict_and_neither_is_used():
    wal = collect([stored(3), stored(2, sha16=OTHER), stored(2), stored(1), stored(2)])

    assert wal.conflicts == (WalConflict(segment(2).name, ("00000000000000aa", OTHER)),)
    assert str(wal.conflict(1, 2)) == (
        f"{segment(2)} is stored with different contents (00000000000000aa, {OTHER})"
    )
    assert wal.sha16(segment(2)) is None
    assert wal.contiguous_end(1, 1) == 2
    assert wal.next_stored(1, 1) == 2
    assert wal.conflict(1, 3) is None
    assert wal.conflict(9, 2) is None


def test_the_same_segment_stored_twice_is_no_conflict():
    again = stored(1)._replace(stored_at=minute(90))
    wal = collect([again, stored(1), again])

    assert wal.conflicts == ()
    assert wal.written_by(1, 1) == minute(2)


@pytest.mark.parametrize(
    ("name", "sha16"),
    [
        ("000000010000000000000001.partial", "00000000000000aa"),
        ("00000001000000000000000a", "00000000000000aa"),
        ("000000000000000000000001", "00000000000000aa"),
        ("000000010000000000001000", "00000000000000aa"),
        ("000000010000000000000001", "xyz"),
    ],
)
def test_a_name_that_is_no_segment_is_kept_to_be_shown(name, sha16):
    wal = collect([StoredSegment(name, sha16, minute(0)), stored(1)])

    assert wal.unreadable == (name,)
    assert wal.contiguous_end(1, 1) == 2


def test_a_tail_of_no_segment_is_kept_to_be_shown():
    wal = StoredWal.collect([], system_id="1", segment_bytes=16 * MEBIBYTE, tails=[piece(4095, 0, 10)])

    assert wal.unreadable == (segment(4095).name,)
    assert wal.timelines == frozenset()


def test_a_segment_stored_late_was_written_before_the_ones_after_it_were_stored():
    late = stored(1)._replace(stored_at=minute(500))
    wal = collect([late, stored(2), stored(3)])

    assert [wal.written_by(1, number) for number in (1, 2, 3)] == [minute(3), minute(3), minute(4)]


def test_the_first_segment_that_may_hold_a_later_commit_is_found():
    wal = collect([stored(number) for number in range(10)])

    assert wal.first_written_after(1, 2, 8, minute(4.5)) == 4
    assert wal.first_written_after(1, 6, 8, minute(4.5)) == 6
    assert wal.first_written_after(1, 2, 8, minute(20)) is None


def test_a_tail_is_put_together_from_its_first_byte_on():
    pieces = [piece(5, 0, 100), piece(5, 100, 50), piece(5, 150, 10)]
    random.Random(1).shuffle(pieces)
    wal = collect([], pieces)
    tail = wal.tail(1, 5)

    assert [(part.offset, part.end) for part in tail.pieces] == [(0, 100), (100, 150), (150, 160)]
    assert (tail.length, tail.stops, tail.written_by) == (160, "", max(part.stored_at for part in pieces))
    assert wal.next_stored(1, 4) == 5
    assert wal.timelines == {1}


def test_a_receiver_that_began_anew_leaves_pieces_that_overlap():
    tail = assemble_tail([piece(5, 0, 100), piece(5, 0, 120), piece(5, 50, 40), piece(5, 110, 90)], SIZE)

    assert [(part.offset, part.end) for part in tail.pieces] == [(0, 120), (110, 200)]


def test_a_hole_in_a_tail_ends_it():
    tail = assemble_tail([piece(5, 0, 100), piece(5, 120, 30)], SIZE)

    assert tail.length == 100
    assert tail.stops == "its bytes 100 to 120 are missing"


def test_a_tail_without_its_beginning_is_of_no_use():
    tail = assemble_tail([piece(5, 10, 100)], SIZE)

    assert (tail.pieces, tail.length, tail.stops) == ((), 0, "its bytes 0 to 10 are missing")


def test_two_contents_of_one_range_end_a_tail_and_are_a_conflict():
    pieces = [piece(5, 0, 100), piece(5, 100, 50), piece(5, 100, 50, sha16="cc"), piece(5, 150, 10)]
    tail = assemble_tail(pieces, SIZE)

    assert tail.length == 100
    assert tail.stops == "its bytes from 100 on are stored with different contents"
    assert collect([], pieces).conflicts == (WalConflict(f"{segment(5)} bytes 100 to 150", ("bb", "cc")),)


def test_one_content_stored_twice_is_one_piece_of_the_earlier_time():
    again = piece(5, 0, 100)
    late = assemble_tail(
        [again, type(again)(again.segment, 0, 100, "bb", again.stored_at + timedelta(1))], SIZE
    )

    assert late.pieces == (again,)


def test_a_piece_past_the_end_of_its_segment_is_not_used():
    tail = assemble_tail([piece(5, 0, 100), piece(5, 100, SIZE)], SIZE)

    assert tail.length == 100
    assert tail.stops == f"a piece of it reaches past its end, {SIZE} bytes"


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_a_tail_covers_exactly_the_bytes_that_lead_on_from_the_first(ranges, shuffle):
    held = {byte for offset, length in ranges for byte in range(offset, offset + length)}
    pieces = [piece(5, offset, length) for offset, length in ranges]
    shuffle.shuffle(pieces)
    tail = assemble_tail(pieces, SIZE)

    expected = next(byte for byte in range(100) if byte not in held)
    assert tail.length == expected
    assert {byte for part in tail.pieces for byte in range(part.offset, part.end)} == set(range(expected))
    assert bool(tail.stops) == (max(held, default=-1) > expected)
