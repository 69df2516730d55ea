"""One replication connection's worth of receiving: WAL into the tail, confirmations back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from backstop.commands.wal.laggards import leave_slowest_behind
from backstop.commands.wal.start import segment_at, way_to
from backstop.errors import SourceError, SourceUnavailableError, WalLostError
from backstop.postgres.wal_stream import Keepalive, TimelineEnded, WalData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.wal.service_watch import Observations
    from backstop.commands.wal.shipper import WalShipper
    from backstop.commands.wal.tail import WalTail
    from backstop.commands.wal.top_up import TopUp
    from backstop.model.lsn import Lsn, WalSegment
    from backstop.model.timeline import TimelineSpan
    from backstop.postgres.replication import ReplicationConnection
    from backstop.postgres.wal_stream import WalStream

_LISTEN_SECONDS = 0.5
# The server ends a connection that is silent for wal_sender_timeout, 60 s by default.
_FULL_SPOOL_TRIES = 20
_LAST_WORDS_SECONDS = 10.0


class Receiver:
    """Streams on one connection until it breaks or the stop is set.

    :param stop: the caller's.
    """

    def __init__(
        self,
        connection: ReplicationConnection,
        *,
        slot: str,
        shipper: WalShipper,
        tail: WalTail,
        top_up: TopUp,
        seen: Observations,
        stop: threading.Event,
    ) -> None:
        self._connection = connection
        self._slot = slot
        self._shipper = shipper
        self._tail = tail
        self._top_up = top_up
        self._seen = seen
        self._stop = stop
        self._stream: WalStream | None = None
        self._stream_lock = threading.Lock()
        self.received_any = False

    def run(self, segment: WalSegment) -> None:
        """Receive from the start of this segment on, timeline after timeline.

        :raises SourceUnavailableError: the connection broke. :raises WalLostError: the server no longer has
            what comes next.
        """
        self._shipper.on_progress = self._confirm
        try:
            while not self._stop.is_set():
                ended = self._receive(segment)
                if ended is None:
                    return
                segment = self._switch(ended)
        finally:
            self._shipper.on_progress = _nothing
            with self._stream_lock:
                self._stream = None

    def _receive(self, segment: WalSegment) -> TimelineEnded | None:
        """Until the timeline ends, or the stop is set (None)."""
        self._wait_for_room()
        self._tail.begin(segment)
        self._seen.follow(segment.timeline, segment.start)
        stream = self._connection.stream(slot=self._slot, start=segment.start, timeline=segment.timeline)
        with self._stream_lock:
            self._stream = stream
        self._confirm()
        current = segment
        while not self._stop.is_set():
            message = stream.receive(_LISTEN_SECONDS)
            if isinstance(message, TimelineEnded):
                return message
            if isinstance(message, WalData):
                self._seen.connected = True
                self._seen.last_error = ""
                self._seen.heard(message.end_of_wal, message.server_time)
                current = self._take(message, current)
            elif isinstance(message, Keepalive):
                self._seen.connected = True
                self._seen.last_error = ""
                self._seen.heard(message.end_of_wal, message.server_time)
                if message.reply_requested:
                    # A server that shuts down waits until everything is confirmed.
                    self._tail.hurry()
            self._shipper.raise_if_fatal()
        self._last_words(stream)
        return None

    def _take(self, message: WalData, segment: WalSegment) -> WalSegment:
        """Add to the growing segment, and begin the next when it is whole."""
        if message.start != self._tail.position:
            raise SourceError(
                f"{self._connection.location} sent WAL from {message.start} on where {self._tail.position} "
                "was next",
                hint="this is a defect: report it with the server's version",
            )
        self.received_any = True
        rest = memoryview(message.data)
        while rest:
            room = segment.end - self._tail.position
            self._tail.write(rest[:room], server_end=message.end_of_wal)
            if len(rest) >= room:
                segment = segment.next()
                self._wait_for_room()
                self._tail.begin(segment)
            rest = rest[room:]
        return segment

    def _wait_for_room(self) -> None:
        if not self._make_room():
            self._shipper.raise_if_fatal()
            raise SourceUnavailableError(
                "the spool is full: WAL stays on the server until the repositories take it",
                hint="see the state of the repositories; enlarge max_spool_bytes for short outages",
            )

    def _make_room(self) -> bool:
        """Wait for room in the spool, as long as the server lets us be silent."""
        if self._shipper.wait_for_room(0):
            return True
        for _ in range(_FULL_SPOOL_TRIES):
            if self._shipper.wait_for_room(_LISTEN_SECONDS):
                return True
            if self._stop.is_set():
                return False
        leave_slowest_behind(self._shipper)
        return self._shipper.wait_for_room(_LISTEN_SECONDS)

    def _confirm(self) -> None:
        """Tell the server, from any thread. What was received counts for nothing, not even as written:
        a commit with synchronous_commit = remote_write would otherwise wait for our memory only."""
        confirmed = self._shipper.confirmed()
        with self._stream_lock:
            if confirmed is not None and self._stream is not None:
                self._stream.confirm(confirmed, written=confirmed)

    def _switch(self, ended: TimelineEnded) -> WalSegment:
        """The timeline is over: everything of it, and how it goes on, is stored before anything of the next.

        The last, partial segment stays in its pieces: the next timeline's file begins with the same bytes.
        """
        with self._stream_lock:
            self._stream = None
        self._store_tail(ended.switched_at)
        self._shipper.leave_timeline(ended.timeline, ended.switched_at)
        spans = way_to(self._connection, ended.next_timeline)
        self._top_up.spans = spans
        self.store_histories(spans)
        return segment_at(spans, ended.switched_at, self._tail_segment_bytes)

    @property
    def _tail_segment_bytes(self) -> int:
        assert self._shipper.growing is not None  # noqa: S101 - begun before
        return self._shipper.growing.size_bytes

    def _store_tail(self, end: Lsn) -> None:
        while not self._stop.is_set():
            self._tail.hurry()
            if self._shipper.wait_until_stored(end, _LISTEN_SECONDS):
                return
            self._shipper.raise_if_fatal()
        raise SourceUnavailableError("stopped while a timeline was being finished", hint="start it again")

    def store_histories(self, spans: Sequence[TimelineSpan]) -> None:
        """Store the history file of every timeline on the way; waits for a repository that works."""
        for span in spans:
            if span.timeline == 1:
                continue
            try:
                data = self._connection.timeline_history(span.timeline)
            except WalLostError:
                if span is spans[-1]:
                    raise
                continue  # an ancestor's, older than this server keeps: the newest names it too
            while not self._shipper.add_history(span.timeline, data):
                self._shipper.raise_if_fatal()
                if self._stop.wait(_LISTEN_SECONDS):
                    raise SourceUnavailableError("stopped before a history was stored", hint="start it again")

    def _last_words(self, stream: WalStream) -> None:
        """On a stop: ship what was received and confirm it, but do not wait for long."""
        self._tail.hurry()
        self._shipper.wait_until_stored(stream.received, _LAST_WORDS_SECONDS)
        self._confirm()
        with self._stream_lock:
            self._stream = None
        stream.end()


def _nothing() -> None:
    pass
