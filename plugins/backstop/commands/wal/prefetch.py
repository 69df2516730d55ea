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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.wal.fetching import WalFetcher, WalSpool
from backstop.model.lsn import WalSegment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.commands.wal.route import WalRoute
    from backstop.commands.wal.sources import WalSource

_POLL_SECONDS = 0.02
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
        self._route = route
        self._settings = settings or PrefetchSettings()
        self._spool = WalSpool(spool, owner=self._settings.owner)
        self._ahead = max(2, self._settings.ahead_bytes // route.segment_bytes)
        self._reading = route.first.number
        self._fetching: dict[int, Future[None]] = {}
        self._ready: set[int] = set()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._fetcher = WalFetcher(
            self._spool,
            sources=sources,
            route=route,
            patience=self._settings.patience,
            stop=self._stop,
        )
        self.report = self._fetcher.report

    def __enter__(self) -> Prefetcher:
        self._spool.make()
        lock = self._spool.folder / _LOCK
        self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._spool.give(lock)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            # First of all: a server that finds no history of a timeline gives its number to a new one.
            for timeline, content in self._fetcher.histories().items():
                self._spool.put(f"{timeline:08X}.history", content)
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
        for request in list(self._spool.wanted.iterdir()):
            name = request.name
            # First of all, so that a server which asks again after this is seen again.
            request.unlink(missing_ok=True)
            if _SEGMENT.fullmatch(name):
                segment = WalSegment.parse(name, size_bytes=self._route.segment_bytes)
                if self._route.needs(segment):
                    self._reading = segment.number
                else:
                    self._mark_absent(name)
            elif not _HISTORY.fullmatch(name) or not self._spool.has(name):
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
            self._spool.remove(self._route.segment(number).name)

    def _fetch_ahead(self, pool: ThreadPoolExecutor) -> None:
        last = min(self._route.last.number, self._reading + self._ahead - 1)
        for number in range(self._reading, last + 1):
            if len(self._fetching) >= 2 * self._settings.jobs:
                return
            if number not in self._ready and number not in self._fetching:
                self._fetching[number] = pool.submit(self._fetcher.fetch, self._route.segment(number))

    def _mark_absent(self, name: str) -> None:
        self._spool.put(f"{name}.absent", b"")


def fetch_alone(
    segment: WalSegment, destination: Path, *, sources: Sequence[WalSource], route: WalRoute
) -> None:
    """One segment of the route as a file, whole or padded as a recovery would get it.

    :raises ObjectMissingError: no archive has it. :raises IntegrityError: all copies are damaged.
    """
    spool = WalSpool(destination.parent / f".alone-{segment}")
    spool.make()
    patience = PrefetchSettings().patience
    WalFetcher(spool, sources=sources, route=route, patience=patience, stop=threading.Event()).fetch(segment)
    (spool.ready / segment.name).replace(destination)
    for folder in (spool.ready, spool.wanted, spool.folder):
        folder.rmdir()
