"""Fetches a recovery's WAL ahead of it, into a bounded spool that ``restore_wal.sh`` waits on.

The spool: ``ready/`` holds whole files (each appears by a rename) and ``NAME.absent`` marks; ``wanted/`` gets
a file for every name PostgreSQL asks for; ``prefetcher.lock`` is locked as long as somebody fills the spool.
PostgreSQL takes a missing file for the end of the WAL and opens the database, so the one thing that must
never happen is an absent mark for something that exists: only names outside the plan get one.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, IntegrityError, ObjectMissingError, RestoreError
from backstop.model.lsn import WalSegment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.commands.wal.route import WalRoute
    from backstop.commands.wal.sources import WalSource

_POLL_SECONDS = 0.02
_RETRY_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_MOST_LOOKS = 5
"""At a segment that seems to be missing: in an archive that grows, pieces are replaced by a larger one, and
all of them by the whole segment, between two looks."""
_LOCK = "prefetcher.lock"
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")


@dataclass(frozen=True, slots=True)
class PrefetchSettings:
    """How to prefetch.

    :param jobs: segments fetched at a time.
    :param ahead_bytes: how much the spool holds beyond what PostgreSQL is reading.
    :param patience: how long an archive that does not answer is asked again.
    :param owner: user id that the server runs under, when it is not ours.
    """

    jobs: int = 4
    ahead_bytes: int = 512 * 1024 * 1024
    patience: timedelta = timedelta(minutes=15)
    owner: int | None = None


@dataclass(slots=True)
class PrefetchReport:
    """What was fetched.

    :param healed: one sentence for every copy that was missing or damaged and came from elsewhere.
    """

    segments: int = 0
    tail_bytes: int = 0
    healed: list[str] = field(default_factory=list)


class Prefetcher:
    """Fills a spool for one recovery, in the ``with`` block, from several threads.

    :param spool: a new directory; its parent exists. It stays afterwards.
    :param sources: asked in this order.
    :raises BackstopError: on entering, when the timelines' histories cannot be had.
    """

    def __init__(
        self,
        spool: Path,
        *,
        sources: Sequence[WalSource],
        route: WalRoute,
        settings: PrefetchSettings | None = None,
    ) -> None:
        self.spool = spool
        self.report = PrefetchReport()
        self._sources = tuple(sources)
        self._route = route
        self._settings = settings or PrefetchSettings()
        self._ahead = max(2, self._settings.ahead_bytes // route.segment_bytes)
        self._reading = route.first.number
        self._fetching: dict[int, Future[None]] = {}
        self._ready: set[int] = set()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Prefetcher:
        for folder in (self.spool, self.spool / "ready", self.spool / "wanted"):
            folder.mkdir(mode=0o700)
            self._give(folder)
        self._descriptor = os.open(self.spool / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._give(self.spool / _LOCK)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            # First of all: a server that finds no history of a timeline gives its number to a new one.
            for timeline, content in self._histories().items():
                self._put(f"{timeline:08X}.history", content)
            self._thread = threading.Thread(target=self._run, name="wal-prefetch", daemon=True)
            self._thread.start()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """:raises BackstopError: why nothing more is fetched, when something failed."""
        if self._failure is not None:
            raise self._failure

    # -- The one thread that decides -------------------------------------------------------------------------

    def _run(self) -> None:
        with ThreadPoolExecutor(self._settings.jobs, thread_name_prefix="wal-fetch") as pool:
            try:
                while not self._stop.wait(_POLL_SECONDS):
                    self._answer_requests()
                    self._look_at_finished()
                    self._remove_consumed()
                    self._fetch_ahead(pool)
            except BaseException as error:
                self._failure = error
            finally:
                # Whoever waits for a file sees that nobody will bring it.
                os.close(self._descriptor)
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def _answer_requests(self) -> None:
        for request in list((self.spool / "wanted").iterdir()):
            name = request.name
            # First of all, so that a server which asks again after this is seen again.
            request.unlink(missing_ok=True)
            if _SEGMENT.fullmatch(name):
                segment = WalSegment.parse(name, size_bytes=self._route.segment_bytes)
                if self._route.needs(segment):
                    self._reading = segment.number
                else:
                    self._mark_absent(name)
            elif not _HISTORY.fullmatch(name) or not (self.spool / "ready" / name).exists():
                self._mark_absent(name)

    def _look_at_finished(self) -> None:
        for number in [number for number, fetch in self._fetching.items() if fetch.done()]:
            self._fetching.pop(number).result()
            self._ready.add(number)

    def _remove_consumed(self) -> None:
        """What lies before the segment that was asked for last, and what a server going back left ahead."""
        window = range(self._reading, self._reading + self._ahead)
        for number in [number for number in self._ready if number not in window]:
            self._ready.discard(number)
            (self.spool / "ready" / self._route.segment(number).name).unlink(missing_ok=True)

    def _fetch_ahead(self, pool: ThreadPoolExecutor) -> None:
        last = min(self._route.last.number, self._reading + self._ahead - 1)
        for number in range(self._reading, last + 1):
            if len(self._fetching) >= 2 * self._settings.jobs:
                return
            if number not in self._ready and number not in self._fetching:
                self._fetching[number] = pool.submit(self._fetch, self._route.segment(number))

    def _mark_absent(self, name: str) -> None:
        self._put(f"{name}.absent", b"")

    # -- Fetching --------------------------------------------------------------------------------------------

    def _fetch(self, segment: WalSegment) -> None:
        """Bring one segment that the plan needs, from wherever it can be had.

        :raises ObjectMissingError: no archive has it. :raises IntegrityError: all copies are damaged.
        """
        arriving = self.spool / "ready" / f".arriving-{segment.name}"
        give_up = time.monotonic() + self._settings.patience.total_seconds()
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
        arriving.chmod(0o600)
        self._give(arriving)
        arriving.replace(self.spool / "ready" / segment.name)
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

    def _histories(self) -> dict[int, bytes]:
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

    def _put(self, name: str, content: bytes) -> None:
        arriving = self.spool / "ready" / f".arriving-{name}"
        arriving.write_bytes(content)
        arriving.chmod(0o600)
        self._give(arriving)
        arriving.replace(self.spool / "ready" / name)

    def _give(self, path: Path) -> None:
        if self._settings.owner is not None and self._settings.owner != os.geteuid():
            os.chown(path, self._settings.owner, -1)


def fetch_alone(
    segment: WalSegment, destination: Path, *, sources: Sequence[WalSource], route: WalRoute
) -> None:
    """One segment of the route as a file, whole or padded as a recovery would get it.

    :raises ObjectMissingError: no archive has it. :raises IntegrityError: all copies are damaged.
    """
    spool = destination.parent / f".alone-{segment}"
    (spool / "ready").mkdir(parents=True, mode=0o700)
    Prefetcher(spool, sources=sources, route=route)._fetch(segment)
    (spool / "ready" / segment.name).replace(destination)
    (spool / "ready").rmdir()
    spool.rmdir()
