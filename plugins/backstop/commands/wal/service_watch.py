"""The second hand of an archiver: once a second it revives, leaves behind, and says how things stand.

From time to time it has every repository asked whether a newer release has raised its format: whoever began
to write before that would go on for as long as it runs.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.wal.laggards import leave_silent_behind
from backstop.commands.wal.lane import Standing
from backstop.commands.wal.state import ArchiverState, RepositoryState, WrittenAt, write_state
from backstop.errors import BackstopError, FormatTooNewError, StorageError
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backstop.commands.wal.lane import Lane
    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.commands.wal.shipper import WalShipper
    from backstop.commands.wal.top_up import TopUp
    from backstop.model.lsn import Lsn

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_FORGOTTEN_PER_SECOND = 0.05


class Observations:
    """What was last heard of the server, and when by its clock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.connected = False
        self.timeline: int | None = None
        self.server_position: Lsn | None = None
        self.last_error = ""
        self._clock = clock
        self._written_at = WrittenAt()
        self._first: Lsn | None = None
        self._heard: datetime | None = None
        self._ahead = timedelta(0)
        self._ahead_at: datetime | None = None
        self._lock = threading.Lock()

    def heard(self, end_of_wal: Lsn, server_time: datetime) -> None:
        """A message came: the server had written so far at that time. What is new of it was written after
        the message before, however long that is ago: it is not known to be younger."""
        with self._lock:
            self._set_clock(server_time)
            before = min(self._heard or server_time, server_time)
            self._heard = server_time
            self._first = self._first or end_of_wal
            self.server_position = max(self.server_position or end_of_wal, end_of_wal)
            self._written_at.note(end_of_wal, before)

    def follow(self, timeline: int, start: Lsn) -> None:
        """WAL of this timeline comes now, from ``start`` on.

        What the server wrote of another one beyond that is not ahead of us: after a recovery to a point in
        time, or a failover, the server itself goes on without it (PostgreSQL docs, "Timelines").
        """
        with self._lock:
            if self.timeline not in (None, timeline):
                if self.server_position is not None:
                    self.server_position = min(self.server_position, start)
                if self._first is not None:
                    self._first = min(self._first, start)
                self._written_at.cut(start)
            self.timeline = timeline

    def _set_clock(self, server_time: datetime) -> None:
        """A message that had to wait makes the server's clock look late: the quickest one tells best. It is
        believed less and less, because clocks are set."""
        here = self._clock()
        believed = self._ahead - _FORGOTTEN_PER_SECOND * (here - self._ahead_at) if self._ahead_at else None
        found = server_time - here
        self._ahead, self._ahead_at = found if believed is None else max(found, believed), here

    def now(self) -> datetime:
        """By the server's clock."""
        return self._clock() + self._ahead

    def rpo(self, position: Lsn | None) -> timedelta | None:
        """What a repository that has all before ``position`` would lose; never too small.

        None while it is not known: nothing was heard yet, or WAL from before the first message is still to be
        stored, and nobody knows how old that is. Of what the server writes we know by its messages, so all
        since the last one counts as lost; it is asked for one every second (:mod:`..postgres.wal_stream`).
        """
        with self._lock:
            if position is None or self._first is None or self._heard is None or position < self._first:
                return None
            now = self.now()
            return max(self._written_at.age(position, now), now - self._heard, timedelta(0))

    def forget(self, position: Lsn) -> None:
        with self._lock:
            self._written_at.forget(position)


class WalWatch:
    """A thread, while the ``with`` lasts.

    :param on_state: gets every state; what it raises is logged, and nothing else: it only watches.
    """

    def __init__(
        self,
        target: str,
        seen: Observations,
        *,
        settings: ArchiveSettings,
        clock: Callable[[], datetime],
        on_state: Callable[[ArchiverState], None],
    ) -> None:
        self.shipper: WalShipper | None = None
        self.top_up: TopUp | None = None
        self._target = target
        self._seen = seen
        self._settings = settings
        self._clock = clock
        self._on_state = on_state
        self._ended = threading.Event()
        self._format_asked_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="wal-watch", daemon=True)

    def __enter__(self) -> WalWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._tell()

    def _run(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            if self.shipper is not None:
                leave_silent_behind(self.shipper, self._settings.ack_patience)
                self._revive(self.shipper)
                self._ask_for_format(self.shipper)
            self._tell()

    def _revive(self, shipper: WalShipper) -> None:
        for lane in shipper.lanes:
            due = lane.standing is Standing.BEHIND and time.monotonic() >= lane.retry_at
            if due and not lane.busy and self.top_up is not None:
                lane.busy = True
                lane.chore(self._revival(lane))

    def _revival(self, lane: Lane) -> Callable[[], None]:
        assert self.top_up is not None  # noqa: S101
        top_up = self.top_up
        return lambda: top_up.revive(lane)

    def _ask_for_format(self, shipper: WalShipper) -> None:
        if time.monotonic() - self._format_asked_at >= self._settings.format_again.total_seconds():
            self._format_asked_at = time.monotonic()
            for lane in shipper.lanes:
                # One that was left behind is asked before it counts again.
                if lane.accepts:
                    lane.chore(self._asking(shipper, lane))

    def _asking(self, shipper: WalShipper, lane: Lane) -> Callable[[], None]:
        def ask() -> None:
            try:
                refuse_newer(lane.archive.storage)
            except FormatTooNewError as error:
                shipper.lane_failed(lane, error)
            except BackstopError:
                return  # what is put there next says so

        return ask

    def _tell(self) -> None:
        state = self.state()
        try:
            self._on_state(state)
            if self._settings.status_file is not None:
                write_state(self._settings.status_file, state)
        except StorageError as error:
            log.warning("%s", error)
        except Exception:
            log.exception("a watcher of the archiver of %s failed", self._target)

    def state(self) -> ArchiverState:
        seen, shipper = self._seen, self.shipper
        confirmed = shipper.floor if shipper else None
        repositories = {}
        if shipper is not None:
            repositories = {lane.name: self._repository(lane) for lane in shipper.lanes}
            known = [lane.position for lane in shipper.lanes if lane.position is not None]
            if known:
                seen.forget(min(known))
        ahead = seen.server_position - confirmed if seen.server_position and confirmed else 0
        return ArchiverState(
            target=self._target,
            slot=self._settings.slot_of(self._target),
            at=self._clock(),
            connected=seen.connected,
            timeline=seen.timeline,
            server_position=seen.server_position,
            confirmed=confirmed,
            retained_bytes=max(0, ahead),
            spooled_bytes=shipper.spooled_bytes if shipper else 0,
            segments_per_second=shipper.segments_per_second() if shipper else 0.0,
            last_error=seen.last_error or (str(shipper.error) if shipper and shipper.error else ""),
            repositories=repositories,
        )

    def _repository(self, lane: Lane) -> RepositoryState:
        return RepositoryState(
            standing=lane.standing.value,
            position=lane.position,
            observed_rpo=self._seen.rpo(lane.position),
            error=str(lane.error) if lane.error else "",
        )
