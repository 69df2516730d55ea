"""A stretch of stored WAL to look through before a recovery, a little of it at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.wal.prefetch import fetch_alone
from backstop.errors import IntegrityError, ObjectMissingError
from backstop.postgres.wal_landmarks import read_landmarks
from backstop.postgres.waldump import look_into

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.wal.route import WalRoute
    from backstop.commands.wal.sources import WalSource
    from backstop.errors import BackstopError
    from backstop.model.lsn import Lsn, WalSegment
    from backstop.postgres.tools import PostgresTools
    from backstop.postgres.wal_landmarks import Landmark

_TOGETHER_BYTES = 64 * 1024 * 1024
_JOBS = 4
LOOK_BACK_SEGMENTS = 8


@dataclass(slots=True)
class WalStretch:
    """WAL without a gap, in segments ``first`` to ``last`` of a route.

    :param folder: private and empty; never more than some 64 MiB, or two segments, lie in it.
    """

    route: WalRoute
    sources: Sequence[WalSource]
    tools: PostgresTools
    folder: Path
    fetched_bytes: int = 0
    readable: bool = True
    """Whether everything read so far was WAL to its end, but for where all WAL ends."""
    problem: BackstopError | None = None
    """A segment that could not be had."""
    _here: dict[int, Path] = field(default_factory=dict)

    @property
    def first(self) -> int:
        return self.route.first.number

    @property
    def last(self) -> int:
        return self.route.last.number

    @property
    def words(self) -> str:
        return f"{self.route.first} to {self.route.last}"

    @property
    def together(self) -> int:
        """How many segments to read at a time: a record may go on in the next, which is then fetched too."""
        return max(1, _TOGETHER_BYTES // self.route.segment_bytes)

    def read(self, first: int, last: int, managers: Sequence[str]) -> list[Landmark]:
        """What begins in these segments, in order; nothing when one is damaged, which :attr:`problem` tells.

        :raises ToolError: pg_waldump cannot be run. :raises StorageUnavailableError: no archive answers.
        """
        try:
            self._fetch(range(first, min(last + 1, self.last) + 1))
        except (IntegrityError, ObjectMissingError) as error:
            # What is looked for may lie elsewhere, and then recovery need not come by here.
            self.readable, self.problem = False, error
            return []
        found: list[Landmark] = []
        for segments in self._by_timeline(first, last):
            beyond = segments[-1].end
            following = self._here.get(segments[-1].number + 1)
            link = None
            if following is not None:
                # Another timeline may have written it, and begins it with a copy of what this one wrote.
                link = self.folder / segments[-1].next().name
                if link.exists():
                    link = None
                else:
                    link.symlink_to(following.name)
                segments.append(segments[-1].next())
            try:
                seen, whole = read_landmarks(
                    segments, folder=self.folder, managers=managers, tools=self.tools
                )
            finally:
                if link is not None:
                    link.unlink()
            found += [landmark for landmark in seen if landmark.lsn < beyond]
            if not whole and segments[-1].number < self.last:
                self.readable = False
        return found

    def end(self, *, look_back: int = LOOK_BACK_SEGMENTS) -> tuple[Lsn | None, datetime | None]:
        """Where the last record begins, and when the last transaction in the last segments committed.

        :param look_back: how many segments before the last one are looked into, until a commit is found.
        """
        last_record: Lsn | None = None
        oldest = max(self.first, self.last - look_back)
        for number in range(self.last, oldest - 1, -1):
            self._fetch(range(number, number + 1))
            found = look_into(self._here[number], self.tools)
            last_record = last_record or found.last_record
            if found.last_commit_at is not None:
                return last_record, found.last_commit_at
        return last_record, None

    def last_commit_by(self, moment: datetime, *, first: int) -> Lsn | None:
        """Where the last transaction that had committed by the moment did so.

        :param first: the segment to go back to; None: there was none from there on.
        """
        for number in range(self.last, max(self.first, first) - 1, -1):
            self._fetch(range(number, number + 1))
            found = look_into(self._here[number], self.tools, by=moment)
            if found.last_commit is not None:
                return found.last_commit
        return None

    def _by_timeline(self, first: int, last: int) -> Iterator[list[WalSegment]]:
        segments: list[WalSegment] = []
        for number in range(first, last + 1):
            segment = self.route.segment(number)
            if segments and segments[-1].timeline != segment.timeline:
                yield segments
                segments = []
            segments.append(segment)
        if segments:
            yield segments

    def _fetch(self, numbers: range) -> None:
        """Have these here, and nothing else."""
        for number in [number for number in self._here if number not in numbers]:
            self._here.pop(number).unlink()
        missing = [self.route.segment(number) for number in numbers if number not in self._here]
        with ThreadPoolExecutor(_JOBS, thread_name_prefix="wal-look") as pool:
            list(pool.map(self._fetch_one, missing))

    def _fetch_one(self, segment: WalSegment) -> None:
        place = self.folder / segment.name
        fetch_alone(segment, place, sources=self.sources, route=self.route)
        self._here[segment.number] = place
        self.fetched_bytes += segment.size_bytes
