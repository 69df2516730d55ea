"""WAL as it is written, from START_REPLICATION (PostgreSQL docs, 55.4), with feedback under our control."""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceError, SourceUnavailableError
from backstop.model.lsn import Lsn
from backstop.postgres.replication_wire import END_OF_COPY

if TYPE_CHECKING:
    from backstop.postgres.replication_wire import Wire

_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)
_WAL_DATA, _KEEPALIVE = ord("w"), ord("k")
_WAL_HEADER = struct.Struct("!cQQq")
_KEEPALIVE_BODY = struct.Struct("!cQqB")
_STATUS = struct.Struct("!cQQQqB")

STATUS_SECONDS = 5.0
# A server that has nothing to send says so twice a minute; until it does, it may be unreachable and writing.
ASK_SECONDS = 1.0
SILENCE_SECONDS = 60.0
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class WalData:
    """WAL from ``start`` on.

    :param end_of_wal: how far the server had written when it sent this.
    """

    start: Lsn
    end_of_wal: Lsn
    server_time: datetime
    data: memoryview = field(repr=False)

    @property
    def end(self) -> Lsn:
        """The first position after it."""
        return self.start + len(self.data)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The server has nothing to send.

    :param reply_requested: the stream has answered with what is confirmed. A server that shuts down asks
        again and again, and ends only once everything is confirmed: confirm soon what is safe.
    """

    end_of_wal: Lsn
    server_time: datetime
    reply_requested: bool


@dataclass(frozen=True, slots=True)
class TimelineEnded:
    """This timeline has no more WAL; the stream is over and its connection free for other commands.

    :param next_timeline: where WAL goes on, from ``switched_at``.
    """

    timeline: int
    next_timeline: int
    switched_at: Lsn


class WalStream:
    """One WAL stream under way. :meth:`confirm` may be called from any thread, the rest from one.

    The server is told nothing as flushed but what was confirmed.

    :param confirmed: what the slot holds already; it is never moved back behind that.
    """

    def __init__(self, wire: Wire, *, slot: str | None, start: Lsn, timeline: int, confirmed: Lsn) -> None:
        self.timeline = timeline
        self.slot = slot
        self._wire = wire
        self._received = start
        self._floor = confirmed
        self._flushed: Lsn | None = None
        self._written: Lsn | None = None
        self._lock = threading.Lock()
        self._status_due = True
        self._status_at = self._heard_at = self._asked_at = time.monotonic()
        self._ended: TimelineEnded | None = None
        self._over = False

    @property
    def received(self) -> Lsn:
        """The first position that has not been received yet."""
        return self._received

    def ended_at_once(self, ended: TimelineEnded) -> WalStream:
        """The server had nothing on this timeline from the start."""
        self._ended, self._over = ended, True
        return self

    def receive(self, timeout_seconds: float) -> WalData | Keepalive | TimelineEnded | None:
        """What comes next; None when nothing came in time, or the stop was set.

        Feedback goes out from here: at once after a :meth:`confirm` or when the server asks, and every few
        seconds; a server that is silent for a second is asked where it is. So call it again and again; a
        pause longer than the server's wal_sender_timeout (60 s) ends the connection.

        :raises SourceUnavailableError: the server went away, is shutting down, or has been silent too long.
        :raises WalLostError: the server no longer has the WAL that comes next.
        """
        if self._ended is not None:
            return self._ended
        deadline = time.monotonic() + timeout_seconds
        with self._wire.errors(slot=self.slot):
            while True:
                self._report_if_due()
                left = deadline - time.monotonic()
                message = self._wire.receive(max(0.0, min(left, self._next_report_in())))
                if message is END_OF_COPY:
                    return self._server_ended()
                if message is not None:
                    self._heard_at = time.monotonic()
                    return self._parse(message)
                if self._wire.stop.is_set() or time.monotonic() >= deadline:
                    self._report_if_due()
                    return None

    def confirm(self, flushed: Lsn, written: Lsn | None = None) -> None:
        """Everything before ``flushed`` is safe: the server may remove it, and a commit waiting for this
        receiver in synchronous_standby_names returns.

        :param written: received but not safe yet; by default everything received.
        """
        with self._lock:
            if flushed > max(self._floor, self._flushed or self._floor):
                self._flushed = flushed
            self._written = written
            self._status_due = True
        self._wire.wake()

    def end(self) -> None:
        """End the stream in good order, the last confirmation included; also after a stop. The connection can
        be used again.

        :raises SourceUnavailableError: the server went away, or did not end within ten seconds.
        """
        if self._over:
            return
        self._over = True
        deadline = time.monotonic() + _END_SECONDS
        with self._wire.errors(slot=self.slot), self._wire.within(_END_SECONDS, heed_stop=False):
            self._report()
            self._wire.end_copy()
            while self._wire.receive(0.2) is not END_OF_COPY:
                if time.monotonic() > deadline:
                    raise SourceUnavailableError(
                        f"{self._wire.location} did not end its WAL stream", hint="close the connection"
                    )
            self._wire.results()

    # -- Inside ----------------------------------------------------------------------------------------------

    def _parse(self, message: memoryview) -> WalData | Keepalive:
        if message[0] == _WAL_DATA:
            _, start, end_of_wal, sent_at = _WAL_HEADER.unpack_from(message)
            wal = WalData(Lsn(start), Lsn(end_of_wal), _time(sent_at), message[_WAL_HEADER.size :])
            self._received = wal.end
            return wal
        if message[0] == _KEEPALIVE:
            _, end_of_wal, sent_at, asked = _KEEPALIVE_BODY.unpack(message)
            if asked:
                self._report()
            return Keepalive(Lsn(end_of_wal), _time(sent_at), bool(asked))
        raise SourceError(
            f"{self._wire.location} sent an unknown message {message[:1].tobytes()!r} in its WAL stream",
            hint="this is a defect: report it with the server's version",
        )

    def _server_ended(self) -> TimelineEnded:
        from psycopg.pq import ExecStatus

        self._over = True
        result = self._wire.result()
        if result is not None and result.status == ExecStatus.COPY_IN:
            # The server's direction has ended in good order; it waits for ours.
            self._wire.end_copy()
            result = self._wire.result()
        ended = timeline_end([result], self.timeline)
        if ended is None:
            raise SourceUnavailableError(
                f"{self._wire.location} ended its WAL stream: it is shutting down",
                hint="connect again once the server is back",
            )
        self._wire.results()
        self._ended = ended
        return ended

    def _next_report_in(self) -> float:
        return max(0.0, min(self._status_at + STATUS_SECONDS, self._ask_at) - time.monotonic())

    @property
    def _ask_at(self) -> float:
        return max(self._heard_at, self._asked_at) + ASK_SECONDS

    def _report_if_due(self) -> None:
        silent_for = time.monotonic() - self._heard_at
        if silent_for > 2 * SILENCE_SECONDS:
            raise SourceUnavailableError(
                f"{self._wire.location} has been silent for {silent_for:.0f} s, though asked",
                hint="check that the server is up and reachable from here",
            )
        if self._status_due or not self._next_report_in():
            self._report(ask=time.monotonic() >= self._ask_at)

    def _report(self, *, ask: bool = False) -> None:
        with self._lock:
            self._status_due = False
            flushed, written = self._flushed, self._written
        flush = flushed.position if flushed else 0
        write = (written or self._received).position
        now = int((datetime.now(timezone.utc) - _EPOCH).total_seconds() * 1_000_000)
        # An archive applies nothing. Said all the same: a session with synchronous_commit = remote_apply
        # would otherwise wait for us for ever.
        self._wire.put(_STATUS.pack(b"r", max(write, flush), flush, flush, now, int(ask)))
        self._status_at = time.monotonic()
        if ask:
            self._asked_at = self._status_at


def timeline_end(results: list[Any], timeline: int) -> TimelineEnded | None:
    """What the results of a finished stream say about the next timeline; None when they say nothing."""
    from psycopg.pq import ExecStatus

    for result in results:
        if (
            result is not None
            and result.status == ExecStatus.TUPLES_OK
            and result.ntuples
            and result.nfields == 2
        ):
            following, switched_at = result.get_value(0, 0), result.get_value(0, 1)
            return TimelineEnded(timeline, int(following), Lsn.parse(switched_at.decode()))
    return None


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
