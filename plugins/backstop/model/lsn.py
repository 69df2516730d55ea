"""Positions in the WAL stream and the segment files that hold it (PostgreSQL docs, 8.20 and 28.6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import overload

MEBIBYTE = 1024 * 1024
DEFAULT_SEGMENT_BYTES = 16 * MEBIBYTE

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")
_BYTES_PER_LOG = 1 << 32
_POSITIONS = 1 << 64


@dataclass(frozen=True, order=True, slots=True)
class Lsn:
    """A byte position in the WAL stream: 64 bits, written as two hexadecimal halves."""

    position: int

    def __post_init__(self) -> None:
        if not 0 <= self.position < _POSITIONS:
            raise ValueError(f"{self.position} is not a position in the WAL stream; it has 64 bits")

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Read PostgreSQL's notation, ``0/3000060``.

        :raises ValueError: when it is anything else.
        """
        halves = _LSN.fullmatch(text)
        if halves is None:
            raise ValueError(f"{text!r} is not an LSN; expected two hexadecimal halves such as 0/3000060")
        return cls((int(halves[1], 16) << 32) | int(halves[2], 16))

    def __str__(self) -> str:
        return f"{self.position >> 32:X}/{self.position & 0xFFFFFFFF:X}"

    def __add__(self, count_bytes: int) -> Lsn:
        return Lsn(self.position + count_bytes)

    @overload
    def __sub__(self, other: Lsn) -> int: ...
    @overload
    def __sub__(self, other: int) -> Lsn: ...
    def __sub__(self, other: Lsn | int) -> int | Lsn:
        """The bytes between two positions, or the position so many bytes earlier."""
        return self.position - other.position if isinstance(other, Lsn) else Lsn(self.position - other)


@dataclass(frozen=True, order=True, slots=True)
class WalSegment:
    """One WAL segment file of one timeline.

    :param number: how many segments lie before it in the WAL stream.
    :param size_bytes: the cluster's ``wal_segment_size``: a power of two between 1 MiB and 1 GiB.
    """

    timeline: int
    number: int
    size_bytes: int = DEFAULT_SEGMENT_BYTES

    def __post_init__(self) -> None:
        check_segment_bytes(self.size_bytes)
        if not 0 < self.timeline < 1 << 32:
            raise ValueError(f"{self.timeline} is not a timeline; they count from 1 and have 32 bits")
        if not 0 <= self.number < _POSITIONS // self.size_bytes:
            raise ValueError(f"{self.number} is not the number of a segment of {self.size_bytes} bytes")

    @classmethod
    def parse(cls, name: str, *, size_bytes: int = DEFAULT_SEGMENT_BYTES) -> WalSegment:
        """Read a segment's file name, 24 upper-case hexadecimal digits.

        :raises ValueError: when it is not the name of a segment of that size.
        """
        if not _SEGMENT_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a WAL segment; expected 24 hexadecimal digits")
        per_log = segments_per_log(size_bytes)
        log, within = int(name[8:16], 16), int(name[16:], 16)
        if within >= per_log:
            raise ValueError(f"{name} is not the name of a WAL segment of {size_bytes} bytes")
        return cls(int(name[:8], 16), log * per_log + within, size_bytes)

    @classmethod
    def containing(cls, lsn: Lsn, *, timeline: int, size_bytes: int = DEFAULT_SEGMENT_BYTES) -> WalSegment:
        """The segment that holds the byte at this position; on a boundary, the one that starts there."""
        check_segment_bytes(size_bytes)
        return cls(timeline, lsn.position // size_bytes, size_bytes)

    @property
    def name(self) -> str:
        log, within = divmod(self.number, segments_per_log(self.size_bytes))
        return f"{self.timeline:08X}{log:08X}{within:08X}"

    @property
    def start(self) -> Lsn:
        return Lsn(self.number * self.size_bytes)

    @property
    def end(self) -> Lsn:
        """The first position after it."""
        return Lsn((self.number + 1) * self.size_bytes)

    def next(self) -> WalSegment:
        """The one that follows on the same timeline."""
        return WalSegment(self.timeline, self.number + 1, self.size_bytes)

    def __str__(self) -> str:
        return self.name


def check_segment_bytes(size_bytes: int) -> None:
    """:raises ValueError: when no cluster can have segments of that size."""
    if not MEBIBYTE <= size_bytes <= 1024 * MEBIBYTE or size_bytes & (size_bytes - 1):
        raise ValueError(
            f"{size_bytes} bytes is not a WAL segment size; expected a power of two from 1 MiB to 1 GiB"
        )


def segments_per_log(size_bytes: int) -> int:
    """How many segments share the middle eight digits of their names.

    :raises ValueError: when no cluster can have segments of that size.
    """
    check_segment_bytes(size_bytes)
    return _BYTES_PER_LOG // size_bytes
