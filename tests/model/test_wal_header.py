"""A segment's first page says whose it is."""

from __future__ import annotations

import struct

import pytest

from backstop.model.lsn import MEBIBYTE, Lsn, WalSegment
from backstop.model.wal_header import WalHeader


def header(order: str = "<", flags: int = 2, start: int = 3 * MEBIBYTE, size: int = MEBIBYTE) -> bytes:
    return struct.pack(order + "HHIQI4xQII", 0xD116, flags, 2, start, 0, 7437297352034519234, size, 8192)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_header_is_read_in_either_byte_order(order):
    assert WalHeader.parse(header(order)) == WalHeader(2, Lsn(3 * MEBIBYTE), "7437297352034519234", MEBIBYTE)


@pytest.mark.parametrize(
    "data", [b"", bytes(40), header(flags=0), header(start=5), header(size=12345), header()[:-1]]
)
def test_anything_else_is_no_segment(data):
    with pytest.raises(ValueError, match=r"^it "):
        WalHeader.parse(data)


def test_a_header_fits_its_own_segment_also_in_the_first_file_of_a_later_timeline():
    found = WalHeader.parse(header())

    assert found.difference(WalSegment(2, 3, MEBIBYTE)) == ""
    assert found.difference(WalSegment(5, 3, MEBIBYTE)) == ""
    assert found.difference(WalSegment(1, 3, MEBIBYTE)) == "it was written on timeline 2"
    assert "from 0/300000 on, not from 0/400000" in found.difference(WalSegment(2, 4, MEBIBYTE))
