"""Positions and segment names are PostgreSQL's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.lsn import MEBIBYTE, Lsn, WalSegment

SEGMENT_SIZES = st.sampled_from([MEBIBYTE << power for power in range(11)])


@given(st.integers(0, 2**64 - 1))
def test_a_position_survives_being_written_and_read(position):
    assert Lsn.parse(str(Lsn(position))) == Lsn(position)


def test_positions_are_written_as_postgresql_writes_them():
    assert str(Lsn(0x3000060)) == "0/3000060"
    assert str(Lsn((0x16 << 32) | 0xB374D848)) == "16/B374D848"
    assert Lsn.parse("0/03000060") == Lsn.parse("0/3000060")
    assert Lsn.parse("16/b374d848") == Lsn.parse("16/B374D848")


@pytest.mark.parametrize("text", ["", "3000060", "0/", "/0", "0/3000060 ", "0/123456789", "x/1", "-1/0"])
def test_what_is_no_position_is_refused_by_name(text):
    with pytest.raises(ValueError, match="is not an LSN"):
        Lsn.parse(text)


def test_positions_are_compared_and_counted_in_bytes():
    start = Lsn.parse("0/FFFFFFFF")

    assert start + 1 == Lsn.parse("1/0")
    assert (start + 17) - start == 17
    assert start - (start + 17) == -17
    assert (start + 17) - 17 == start
    assert max(Lsn.parse("0/A0000000"), Lsn.parse("1/0")) == Lsn.parse("1/0")


def test_a_position_outside_64_bits_is_refused():
    with pytest.raises(ValueError, match="64 bits"):
        Lsn(2**64 - 1) + 1
    with pytest.raises(ValueError, match="64 bits"):
        Lsn(-1)


def test_segments_are_named_as_postgresql_names_them():
    segment = WalSegment.containing(Lsn.parse("1/AB000028"), timeline=0x1F)

    assert segment.name == str(segment) == "0000001F00000001000000AB"
    assert (segment.start, segment.end) == (Lsn.parse("1/AB000000"), Lsn.parse("1/AC000000"))
    assert WalSegment.parse("0000000100000001000000FF").next().name == "000000010000000200000000"


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1), SEGMENT_SIZES)
def test_a_segment_holds_its_positions_and_survives_being_named_and_read(timeline, position, size):
    segment = WalSegment.containing(Lsn(position), timeline=timeline, size_bytes=size)

    assert segment.start.position <= position < segment.start.position + size
    assert WalSegment.parse(segment.name, size_bytes=size) == segment


@pytest.mark.parametrize(
    "name",
    ["", "00000001", "00000001000000000000000g", "000000010000000000000abc", "00000001.history", "0" * 25],
)
def test_what_is_no_segment_name_is_refused(name):
    with pytest.raises(ValueError, match="is not the name of a WAL segment"):
        WalSegment.parse(name)


def test_a_name_that_a_cluster_with_this_segment_size_cannot_have_is_refused():
    assert WalSegment.parse("000000010000000000000FFF", size_bytes=MEBIBYTE).start == Lsn.parse("0/FFF00000")
    with pytest.raises(ValueError, match="is not the name of a WAL segment of 16777216 bytes"):
        WalSegment.parse("000000010000000000000100")


@pytest.mark.parametrize("size", [0, MEBIBYTE // 2, 3 * MEBIBYTE, 2048 * MEBIBYTE])
def test_a_segment_size_that_no_cluster_can_have_is_refused(size):
    with pytest.raises(ValueError, match="is not a WAL segment size"):
        WalSegment.containing(Lsn(0), timeline=1, size_bytes=size)


@pytest.mark.parametrize("timeline", [0, -1, 2**32])
def test_a_timeline_that_cannot_be_is_refused(timeline):
    with pytest.raises(ValueError, match="is not a timeline"):
        WalSegment(timeline, 0)


def test_a_segment_beyond_the_last_position_is_refused():
    last = WalSegment.containing(Lsn(2**64 - 1), timeline=1)

    with pytest.raises(ValueError, match="is not the number of a segment"):
        last.next()
