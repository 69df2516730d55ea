"""The segment that grows: assembled here, and shipped piece by piece until it is whole."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from backstop.commands.wal.assembly import SegmentBuffer
from backstop.errors import BackstopError
from backstop.repository.wal_sealing import MAX_DELTA_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.commands.wal.shipper import WalShipper
    from backstop.model.lsn import Lsn, WalSegment

_MERGED = 64
"""So many deltas in a row are replaced by one, where that is a single object still: a segment that grows for
hours is otherwise thousands of them, each to be fetched in a recovery."""


class WalTail:
    """One segment at a time: :meth:`begin`, :meth:`write` from the receiver; a thread of its own ships.

    Append-only: a delta is cut where the one before it ended. It starts the segment over when a repository
    has joined that lacks its beginning, and when the receiver did.
    """

    def __init__(
        self, shipper: WalShipper, folder: Path, settings: ArchiveSettings, *, first: WalSegment
    ) -> None:
        self._shipper = shipper
        self._folder = folder
        self._synchronous = settings.synchronous
        self._interval = settings.tail_interval.total_seconds()
        self._changed = shipper.condition
        self.next = first
        """What has to be received from its first byte on when a connection begins."""
        self._segment: WalSegment | None = None
        self._buffer: SegmentBuffer | None = None
        self._received = self._cut = 0
        self._waiting_since: float | None = None
        self._hurry = False
        self._finishing = False
        self._deltas: list[tuple[int, str]] = []
        self._closed = False
        self._serial = 0
        self._thread = threading.Thread(target=self._run, name="wal-tail", daemon=True)
        self._thread.start()

    # -- The receiver's side ---------------------------------------------------------------------------------

    @property
    def position(self) -> Lsn:
        """The first byte that has not been written here."""
        assert self._segment is not None  # noqa: S101 - begin() comes first
        return self._segment.start + self._received

    def begin(self, segment: WalSegment) -> None:
        """Assemble this one from its first byte; what was begun before is dropped.

        :raises StorageFullError: no space in the spool.
        """
        self._serial += 1
        path = self._folder / f"{segment.name}.{self._serial}"
        with self._changed:
            self._drop()
        buffer = SegmentBuffer(path, segment.size_bytes, memory=self._shipper.memory)
        with self._changed:
            self._segment, self._buffer = segment, buffer
            self._received = 0
            self._finishing = False
            self._start_over()
            self._shipper.growing = self.next = segment

    def write(self, data: bytes | memoryview, *, server_end: Lsn) -> None:
        """Append; no more than the segment has room for.

        :param server_end: how far the server has written: a segment that is whole there needs no deltas.
        :raises StorageFullError: no space in the spool.
        """
        segment, buffer = self._segment, self._buffer
        assert segment is not None and buffer is not None  # noqa: S101, PT018
        buffer.write(data, self._received)
        offset = self._received + len(data)
        if offset == segment.size_bytes:
            self._hand_over(segment, buffer)
            return
        with self._changed:
            self._received = offset
            self._finishing = server_end >= segment.end
            if self._waiting_since is None:
                self._waiting_since = time.monotonic()
                self._changed.notify_all()
            elif self._synchronous:
                self._changed.notify_all()

    def _hand_over(self, segment: WalSegment, buffer: SegmentBuffer) -> None:
        with self._changed:
            self._buffer = self._segment = None
            self.next = segment.next()
        self._shipper.add_segment(segment, buffer)

    def let_go(self) -> None:
        """Drop what was begun; it has to be received again, from the segment's first byte."""
        with self._changed:
            self._drop()

    def hurry(self) -> None:
        """Ship what is there without waiting for more."""
        with self._changed:
            self._hurry, self._finishing = True, False
            self._changed.notify_all()

    def start_over(self) -> None:
        """Ship the segment from its first byte again: somebody lacks the beginning."""
        with self._changed:
            self._start_over()
            self._changed.notify_all()

    def _start_over(self) -> None:
        self._cut = 0
        self._deltas = []
        self._waiting_since = time.monotonic() if self._received else None

    def _drop(self) -> None:
        if self._buffer is not None:
            self._buffer.discard()
            self._buffer = self._segment = None

    def close(self) -> None:
        """End the thread. Nothing is shipped by this."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            self._drop()

    # -- The thread's side -----------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._due():
                    self._changed.wait(self._patience())
                if self._closed:
                    return
                taken = self._take()
            try:
                self._ship(*taken)
            except BackstopError as error:
                # Keys out of reach, mostly. Nothing was sent, so nothing is lost; try again from the start.
                self._shipper.error = error
                self.start_over()
                time.sleep(self._interval)
            except BaseException as error:
                self._shipper.fail(error)
                return

    def _patience(self) -> float | None:
        if self._waiting_since is None:
            return None
        left = self._waiting_since + self._age_allowed - time.monotonic()
        # Overdue means that answers are outstanding, and those wake us.
        return left if left > 0 else 0.2

    @property
    def _age_allowed(self) -> float:
        """A segment that is whole on the server will be whole here soon, unless the network is slow."""
        return self._interval * (2 if self._finishing else 1)

    def _due(self) -> bool:
        if self._segment is None or self._received <= self._cut:
            return False
        since = self._waiting_since
        old = since is not None and time.monotonic() - since >= self._age_allowed
        at_once = self._hurry or (self._synchronous and not self._finishing)
        return (at_once or old) and self._shipper.may_cut()

    def _take(self) -> tuple[WalSegment, int, bytes, set[str]]:
        """The next piece to ship, and the deltas that it replaces."""
        assert self._segment is not None and self._buffer is not None  # noqa: S101, PT018
        start, replaced = self._cut, set[str]()
        if len(self._deltas) >= _MERGED and self._received - self._deltas[-_MERGED][0] <= MAX_DELTA_BYTES:
            start = self._deltas[-_MERGED][0]
            replaced = {key for _, key in self._deltas[-_MERGED:]}
        length = min(MAX_DELTA_BYTES, self._received - start)
        # Read under the lock: the receiver may hand the buffer over at any moment.
        data = self._buffer.read(start, length)
        self._cut = start + len(data)
        rest = self._received > self._cut
        self._waiting_since = time.monotonic() - self._interval if rest else None
        self._hurry = self._hurry and rest
        return self._segment, start, data, replaced

    def _ship(self, segment: WalSegment, start: int, data: bytes, replaced: set[str]) -> None:
        key = self._shipper.add_delta(segment, start, data)
        with self._changed:
            if self._segment is not segment or self._cut < start + len(data):
                return  # begun anew meanwhile
            if not replaced:
                self._deltas.append((start, key))
                return
            # What has been merged is not merged again.
            del self._deltas[:]
        end = segment.start + start + len(data)
        if self._shipper.wait_until_stored(end, self._interval):
            for lane in self._shipper.working:
                # One that failed meanwhile has the small ones only.
                if lane.position is not None and lane.position >= end:
                    lane.forget_deltas(replaced, segment)
