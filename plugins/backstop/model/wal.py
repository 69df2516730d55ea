"""What WAL of one cluster a repository holds, read from names alone.

A cluster that writes much leaves a million segments, so they are kept as sorted columns of numbers, 24 bytes
a segment, and every question is a binary search.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import accumulate, islice
from operator import lt
from typing import TYPE_CHECKING, NamedTuple

from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, WalSegment, segments_per_log
from backstop.model.wal_tail import Tail, TailPiece, assemble_tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"(?!0{8})[0-9A-F]{24}")
_SHA16 = re.compile(r"[0-9a-f]{16}")
_HALF = 0xFFFFFFFF


class StoredSegment(NamedTuple):
    """A whole segment in the repository.

    :param name: 24 hexadecimal digits.
    :param sha16: the first 16 hexadecimal digits of the plaintext's SHA-256, lower case.
    :param stored_at: when the repository got it, by the repository's clock.
    """

    name: str
    sha16: str
    stored_at: datetime


@dataclass(frozen=True, order=True, slots=True)
class WalConflict:
    """One name with different contents: which of them is true, no name can tell.

    :param name: a segment, a history file, or a range of bytes of a growing segment.
    """

    name: str
    sha16s: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} is stored with different contents ({', '.join(self.sha16s)})"


@dataclass(slots=True)
class _Column:
    """The segments of one timeline by number, ascending, those in conflict left out."""

    numbers: array[int] = field(default_factory=lambda: array("Q"))
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    conflicts: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def finish(self) -> None:
        """Sort, drop repetitions, set conflicts apart, and turn times into "written by"."""
        if not all(map(lt, self.numbers, islice(self.numbers, 1, None))):
            self._sort()
        # WAL is written in order: whenever a later segment was stored, all earlier ones had been written.
        # This takes the delay out of segments that were stored late, and makes times ascend with numbers.
        self.times = array("d", accumulate(reversed(self.times), min))
        self.times.reverse()

    def _sort(self) -> None:
        numbers, hashes, times = self.numbers, self.hashes, self.times
        self.numbers, self.hashes, self.times = array("Q"), array("Q"), array("d")
        found: dict[int, set[int]] = {}
        for index in sorted(range(len(numbers)), key=numbers.__getitem__):
            if self.numbers and self.numbers[-1] == numbers[index]:
                self.times[-1] = min(self.times[-1], times[index])
                if self.hashes[-1] != hashes[index]:
                    found.setdefault(numbers[index], {self.hashes[-1]}).add(hashes[index])
                continue
            self.numbers.append(numbers[index])
            self.hashes.append(hashes[index])
            self.times.append(times[index])
        for number, different in found.items():
            self.conflicts[number] = tuple(sorted(f"{value:016x}" for value in different))
            index = self.index(number)
            for column in (self.numbers, self.hashes, self.times):
                del column[index]

    def index(self, number: int) -> int:
        """Where a segment is, or -1."""
        index = bisect_left(self.numbers, number)
        return index if index < len(self.numbers) and self.numbers[index] == number else -1

    def contiguous_end(self, number: int) -> int:
        """The first number from this one on that is not there."""
        index = self.index(number)
        if index < 0:
            return number
        # In a run without gaps, number − index stays the same: its end can be searched for.
        low, high = index, len(self.numbers)
        while low + 1 < high:
            middle = (low + high) // 2
            if self.numbers[middle] - middle == number - index:
                low = middle
            else:
                high = middle
        return self.numbers[low] + 1

    def next_after(self, number: int) -> int | None:
        index = bisect_right(self.numbers, number)
        return self.numbers[index] if index < len(self.numbers) else None


@dataclass(frozen=True, slots=True)
class StoredWal:
    """The segments and tails of one cluster in one repository. Make it with :meth:`collect`.

    :param unreadable: names below the cluster's WAL that are no segment of its size; to be shown.
    """

    system_id: str
    segment_bytes: int
    columns: Mapping[int, _Column] = field(repr=False)
    tails: Mapping[tuple[int, int], Tail] = field(repr=False)
    unreadable: tuple[str, ...]

    @classmethod
    def collect(
        cls,
        segments: Iterable[tuple[str, str, datetime]],
        *,
        system_id: str,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        tails: Iterable[TailPiece] = (),
    ) -> StoredWal:
        """Take in a listing, in any order.

        :param segments: as :class:`StoredSegment`; read once, nothing of it is kept.
        :param segment_bytes: the cluster's ``wal_segment_size``.
        """
        per_log = segments_per_log(segment_bytes)
        columns: dict[int, _Column] = {}
        unreadable: list[str] = []
        for name, sha16, stored_at in segments:
            if not _NAME.fullmatch(name) or not _SHA16.fullmatch(sha16):
                unreadable.append(name)
                continue
            value = int(name, 16)
            within = value & _HALF
            if within >= per_log:
                unreadable.append(name)
                continue
            column = columns.get(value >> 64) or columns.setdefault(value >> 64, _Column())
            column.numbers.append((value >> 32 & _HALF) * per_log + within)
            column.hashes.append(int(sha16, 16))
            column.times.append(stored_at.timestamp())
        for column in columns.values():
            column.finish()
        pieces: dict[tuple[int, int], list[TailPiece]] = {}
        for piece in tails:
            try:
                segment = WalSegment.parse(piece.segment, size_bytes=segment_bytes)
            except ValueError:
                unreadable.append(piece.segment)
                continue
            pieces.setdefault((segment.timeline, segment.number), []).append(piece)
        assembled = {key: assemble_tail(found, segment_bytes) for key, found in pieces.items()}
        return cls(system_id, segment_bytes, columns, assembled, tuple(sorted(unreadable)))

    @property
    def timelines(self) -> frozenset[int]:
        """Those with at least one stored segment or tail."""
        return frozenset(self.columns) | {timeline for timeline, _ in self.tails}

    @property
    def conflicts(self) -> tuple[WalConflict, ...]:
        """Every segment, and range of a tail, that is stored with different contents."""
        found = [
            WalConflict(self.segment(timeline, number).name, hashes)
            for timeline, column in self.columns.items()
            for number, hashes in column.conflicts.items()
        ]
        for tail in self.tails.values():
            found += [WalConflict(name, hashes) for name, hashes in tail.conflicts]
        return tuple(sorted(found))

    def segment(self, timeline: int, number: int) -> WalSegment:
        return WalSegment(timeline, number, self.segment_bytes)

    def sha16(self, segment: WalSegment) -> str | None:
        """The hash in a whole segment's name; None when it is not stored, or with different contents."""
        column = self.columns.get(segment.timeline)
        index = column.index(segment.number) if column else -1
        return f"{column.hashes[index]:016x}" if column and index >= 0 else None

    def conflict(self, timeline: int, number: int) -> WalConflict | None:
        column = self.columns.get(timeline)
        if column is None or number not in column.conflicts:
            return None
        return WalConflict(self.segment(timeline, number).name, column.conflicts[number])

    def tail(self, timeline: int, number: int) -> Tail | None:
        """What is stored of a segment that is not whole yet."""
        return self.tails.get((timeline, number))

    def contiguous_end(self, timeline: int, number: int) -> int:
        """The first number from this one on whose segment is not there whole and in one version."""
        column = self.columns.get(timeline)
        return column.contiguous_end(number) if column else number

    def next_stored(self, timeline: int, number: int) -> int | None:
        """The next number after this one of which anything is stored."""
        column = self.columns.get(timeline)
        later = [found for found in (column.next_after(number),) if found is not None] if column else []
        later += [found for found in (column.conflicts if column else ()) if found > number]
        later += [found for branch, found in self.tails if branch == timeline and found > number]
        return min(later, default=None)

    def written_by(self, timeline: int, number: int) -> datetime:
        """A moment, by the repository's clock, when this stored segment had been written to its end."""
        column = self.columns[timeline]
        return datetime.fromtimestamp(column.times[column.index(number)], tz=timezone.utc)

    def first_written_after(self, timeline: int, first: int, last: int, moment: datetime) -> int | None:
        """Of a run without gaps, the first segment that may hold a commit later than the moment."""
        column = self.columns[timeline]
        low, high = column.index(first), column.index(last) + 1
        index = bisect_left(column.times, moment.timestamp(), low, high)
        return column.numbers[index] if index < high else None
