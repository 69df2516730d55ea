"""What the first page of a WAL segment says about it (PostgreSQL source, access/xlog_internal.h)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn, check_segment_bytes

if TYPE_CHECKING:
    from backstop.model.lsn import WalSegment

# XLogLongPageHeaderData, in the byte order of its machine: magic, flags, timeline, page address,
# bytes left of a record, padding, system identifier, segment size, block size.
_FIELDS = "HHIQI4xQII"
HEADER_BYTES = struct.calcsize(f"<{_FIELDS}")
_LONG_HEADER = 0x0002


@dataclass(frozen=True, slots=True)
class WalHeader:
    """The long header of a segment's first page.

    :param timeline: on which that page was written: an ancestor's, in the first file of a new timeline.
    """

    timeline: int
    start: Lsn
    system_id: str
    segment_bytes: int

    @classmethod
    def parse(cls, first_bytes: bytes) -> WalHeader:
        """Read the first :data:`HEADER_BYTES` of a segment.

        :raises ValueError: they are not the beginning of a WAL segment.
        """
        if len(first_bytes) < HEADER_BYTES:
            raise ValueError("it is too short to be a WAL segment")
        for order in "<>":
            _, flags, timeline, start, _, system_id, segment_bytes, _ = struct.unpack_from(
                order + _FIELDS, first_bytes
            )
            try:
                check_segment_bytes(segment_bytes)
            except ValueError:
                continue
            if flags & _LONG_HEADER and start % segment_bytes == 0:
                return cls(timeline, Lsn(start), str(system_id), segment_bytes)
        raise ValueError("it does not begin like a WAL segment")

    def difference(self, segment: WalSegment) -> str:
        """In words, why this is not the beginning of that segment; empty when it is."""
        if self.start != segment.start:
            return f"it holds WAL from {self.start} on, not from {segment.start}"
        if self.timeline > segment.timeline:
            return f"it was written on timeline {self.timeline}"
        return ""
