"""Brings what a recovery needs into its spool, one segment at a time, from wherever it can be had."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, IntegrityError, ObjectMissingError, RestoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from backstop.commands.wal.route import WalRoute
    from backstop.commands.wal.sources import WalSource
    from backstop.model.lsn import WalSegment

_RETRY_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_MOST_LOOKS = 5
"""At a segment that seems to be missing: in an archive that grows, pieces are replaced by a larger one, and
all of them by the whole segment, between two looks."""


@dataclass(slots=True)
class PrefetchReport:
    """What was fetched.

    :param healed: one sentence for every copy that was missing or damaged and came from elsewhere.
    """

    segments: int = 0
    tail_bytes: int = 0
    healed: list[str] = field(default_factory=list)


class WalSpool:
    """The folder that ``restore_wal.sh`` waits on: ``ready/`` and ``wanted/``.

    :param owner: user id that the server runs under, when it is not ours.
    """

    def __init__(self, folder: Path, *, owner: int | None = None) -> None:
        self.folder = folder
        self.ready = folder / "ready"
        self.wanted = folder / "wanted"
        self._owner = owner

    def make(self) -> None:
        for folder in (self.folder, self.ready, self.wanted):
            folder.mkdir(mode=0o700)
            self.give(folder)

    def arriving(self, name: str) -> Path:
        """Where a file is written that :meth:`add` gives its name."""
        return self.ready / f".arriving-{name}"

    def add(self, name: str) -> None:
        """What has arrived appears, whole."""
        arriving = self.arriving(name)
        arriving.chmod(0o600)
        self.give(arriving)
        arriving.replace(self.ready / name)

    def put(self, name: str, content: bytes) -> None:
        self.arriving(name).write_bytes(content)
        self.add(name)

    def has(self, name: str) -> bool:
        return (self.ready / name).exists()

    def remove(self, name: str) -> None:
        (self.ready / name).unlink(missing_ok=True)

    def give(self, path: Path) -> None:
        if self._owner is not None and self._owner != os.geteuid():
            os.chown(path, self._owner, -1)


class WalFetcher:
    """Fetches for one recovery. Thread-safe.

    :param sources: asked in this order.
    :param patience: how long an archive that does not answer is asked again.
    :param stop: ends waiting.
    """

    def __init__(
        self,
        spool: WalSpool,
        *,
        sources: Sequence[WalSource],
        route: WalRoute,
        patience: timedelta,
        stop: threading.Event,
    ) -> None:
        self.report = PrefetchReport()
        self._spool = spool
        self._sources = tuple(sources)
        self._route = route
        self._patience = patience
        self._stop = stop
        self._lock = threading.Lock()

    def histories(self) -> dict[int, bytes]:
        """Of all timelines, from all archives together.

        :raises IntegrityError: two archives disagree about one.
        """
        found: dict[int, tuple[bytes, str]] = {}
        failures: list[BackstopError] = []
        for source in self._sources:
            try:
                histories = source.histories()
            except BackstopError as error:
                failures.append(error)
                continue
            for timeline, content in histories.items():
                other, place = found.setdefault(timeline, (content, source.location))
                if other != content:
                    raise IntegrityError(
                        f"{timeline:08X}.history differs between {place} and {source.location}",
                        hint="find out which cluster wrote each; recover with one repository alone",
                    )
        if len(failures) == len(self._sources):
            raise failures[0]
        self.report.healed += [error.message for error in failures]
        missing = [leg.timeline for leg in self._route.legs[1:] if leg.timeline not in found]
        if missing:
            raise RestoreError(
                f"{missing[0]:08X}.history is in none of the archives, and recovery follows that timeline",
                hint="recover on the base backup's own timeline, or from a backup taken on the new one",
            )
        return {timeline: content for timeline, (content, _) in found.items()}

    def fetch(self, segment: WalSegment) -> None:
        """Bring one segment that the plan needs, from wherever it can be had.

        :raises ObjectMissingError: no archive has it. :raises IntegrityError: all copies are damaged.
        """
        arriving = self._spool.arriving(segment.name)
        give_up = time.monotonic() + self._patience.total_seconds()
        looks = 0
        while True:
            problems: list[BackstopError] = []
            for source in self._sources:
                try:
                    source.fetch_segment(segment, arriving)
                except BackstopError as error:
                    problems.append(error)
                else:
                    self._arrived(segment, arriving, problems)
                    return
            if not any(error.retryable for error in problems) and self._fetch_tail(
                segment, arriving, problems
            ):
                return
            waited_for = next((error for error in problems if error.retryable), None)
            if waited_for is None:
                looks += 1
                if looks == _MOST_LOOKS or self._stop.wait(_LOOK_SECONDS):
                    raise self._lost(segment, problems)
                continue
            if time.monotonic() > give_up or self._stop.wait(_RETRY_SECONDS):
                raise waited_for

    def _fetch_tail(self, segment: WalSegment, arriving: Path, problems: list[BackstopError]) -> bool:
        """The pieces of a segment that never became whole, padded with zeros; False when they do not reach.

        In the middle of the WAL only all of it will do: after the end of a tail a server looks no further.
        """
        wanted = min(segment.end, self._route.end) - segment.start
        for source in self._sources:
            try:
                tail = source.read_tail(segment)
            except BackstopError as error:
                problems.append(error)
                continue
            if len(tail) >= wanted and len(tail) <= segment.size_bytes:
                arriving.write_bytes(tail)
                os.truncate(arriving, segment.size_bytes)
                damaged = [error for error in problems if isinstance(error, IntegrityError)]
                self._arrived(segment, arriving, damaged, tail_bytes=len(tail))
                return True
        return False

    def _arrived(
        self, segment: WalSegment, arriving: Path, problems: Sequence[BackstopError], *, tail_bytes: int = 0
    ) -> None:
        self._cut(segment, arriving)
        self._spool.add(segment.name)
        with self._lock:
            self.report.segments += 1
            self.report.tail_bytes += tail_bytes
            self.report.healed += [error.message for error in problems]

    def _cut(self, segment: WalSegment, arriving: Path) -> None:
        """Zeros from the planned end on: the archive may have grown since, or the timeline was left there."""
        if segment.start < self._route.end < segment.end:
            os.truncate(arriving, self._route.end - segment.start)
            os.truncate(arriving, segment.size_bytes)

    def _lost(self, segment: WalSegment, problems: Sequence[BackstopError]) -> BackstopError:
        damaged = [error for error in problems if not isinstance(error, ObjectMissingError)]
        if damaged:
            return damaged[0]
        places = ", ".join(source.location for source in self._sources)
        return ObjectMissingError(
            f"WAL segment {segment} is in none of the archives ({places}), and recovery needs it",
            hint=f"recover to a point before {segment.start}, or from a base backup taken after it",
        )
