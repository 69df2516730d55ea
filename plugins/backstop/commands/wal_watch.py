"""The second hand of an archiver: once a second it revives, leaves behind, and says how things stand."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.wal_laggards import leave_silent_behind
from backstop.commands.wal_lane import Standing
from backstop.commands.wal_state import ArchiverState, RepositoryState, WrittenAt, write_state
from backstop.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backstop.commands.wal_lane import Lane
    from backstop.commands.wal_settings import ArchiveSettings
    from backstop.commands.wal_shipper import WalShipper
    from backstop.commands.wal_top_up import TopUp
    from backstop.model.lsn import Lsn

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0


class Observations:
    """What was last heard of the server, and when by its clock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.connected = False
        self.timeline: int | None = None
        self.server_position: Lsn | None = None
        self.last_error = ""
        self._clock = clock
        self._written_at = WrittenAt()
        self._ahead = timedelta(0)
        self._unheard_since: datetime | None = None
        self._lock = threading.Lock()

    def heard(self, end_of_wal: Lsn, server_time: datetime) -> None:
        """A message came. After a pause in listening, what it tells may be as old as the pause."""
        with self._lock:
            since, self._unheard_since = self._unheard_since, None
            self._ahead = server_time - self._clock()
            self.server_position = max(self.server_position or end_of_wal, end_of_wal)
            self._written_at.note(end_of_wal, min(since, server_time) if since else server_time)

    def deaf(self) -> None:
        """From now on we do not listen: the connection is gone, or the spool is full."""
        with self._lock:
            if self._unheard_since is None:
                self._unheard_since = self.now()

    def now(self) -> datetime:
        """By the server's clock."""
        return self._clock() + self._ahead

    def rpo(self, position: Lsn | None) -> timedelta | None:
        """What a repository that has all before ``position`` would lose; None while nothing is known.

        While we do not hear the server, it may have written anything since.
        """
        with self._lock:
            if position is None or self.server_position is None:
                return None
            age = self._written_at.age(position, self.now())
            deaf = self._unheard_since
            return max(age, self.now() - deaf) if deaf else age

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
