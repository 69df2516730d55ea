"""Looking at the server, and at the repositories until they have what it had when the look began."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.wal.start import way_to
from backstop.commands.wal.watch import lag_of
from backstop.commands.watch.source import CONNECT_SECONDS
from backstop.errors import IntegrityError, SourceError, StorageError
from backstop.model.lsn import Lsn
from backstop.postgres.slots import slot_use
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from backstop.commands.wal.watch import Lag
    from backstop.model.timeline import TimelineSpan
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.replication import ClusterIdentity, ReplicationConnection
    from backstop.repository.catalog import Repository

_PAUSE_SECONDS = 0.3
_LOG_BITS = 32


@dataclass(frozen=True, slots=True)
class Written:
    """The server had written so far, no earlier than ``at``; a position of the history that it has now."""

    at: datetime
    position: Lsn


@dataclass(frozen=True, slots=True)
class Kept:
    """What the slot keeps.

    :param state: as :class:`~backstop.model.observation.SlotSeen`.
    :param since: from there on; None: nothing.
    """

    state: str
    since: Lsn | None


class Following:
    """One look. What it has found stands in its attributes after :meth:`follow`.

    :param connection: to the server that the slot is on; used by nobody else meanwhile.
    :param down: repositories that are known not to answer, and why: they are not asked.
    """

    def __init__(
        self,
        *,
        target: str,
        cluster: ClusterConnection,
        connection: ReplicationConnection,
        slot: str,
        clock: Callable[[], datetime],
        down: Mapping[str, str],
    ) -> None:
        self._target = target
        self._cluster = cluster
        self._connection = connection
        self._slot = slot
        self._clock = clock
        self.written: list[Written] = []
        self.first = self.identity = self._ask()
        self.spans: Sequence[TimelineSpan] = way_to(connection, self.identity.timeline)
        self.slot_at_first = self.slot = self._slot_now()
        self.lags: dict[str, Lag] = {}
        self.silent: dict[str, str] = dict(down)
        self.damaged: dict[str, IntegrityError] = {}
        self.looks = 0

    def follow(self, repositories: Sequence[Repository], patience: timedelta) -> None:
        """Look again and again until every repository that answers has what the server had at first."""
        deadline = time.monotonic() + patience.total_seconds()
        while True:
            self._look(repositories)
            if all(self._has_all(lag) for lag in self.lags.values()):
                break
            if time.monotonic() + _PAUSE_SECONDS > deadline:
                break
            time.sleep(_PAUSE_SECONDS)
        self.slot = self._slot_now()
        if (self.slot.state, self.slot_at_first.state) == ("inactive", "active"):
            # A receiver that hands over to the next one is away for a moment.
            self.slot = Kept("active", self.slot.since)
        self.identity = self._ask()

    def _ask(self) -> ClusterIdentity:
        at = self._clock()  # before: what is written while the question is on its way counts as lost
        identity = self._connection.identify()
        self.written.append(Written(at, identity.flush_lsn))
        return identity

    def _slot_now(self) -> Kept:
        state = self._connection.slot(self._slot)
        if state is None:
            return Kept("missing", None)
        try:
            use = slot_use(self._cluster, self._slot, connect_timeout_seconds=CONNECT_SECONDS)
        except SourceError:
            use = None  # the role may only replicate: whether somebody receives is not known
        if state.restart_lsn is None or (use and use.wal_status == "lost"):
            return Kept("lost", None)
        return Kept("inactive" if use and not use.active else "active", state.restart_lsn)

    def _has_all(self, lag: Lag) -> bool:
        return lag.reaches and lag.position >= self.first.flush_lsn

    def _look(self, repositories: Sequence[Repository]) -> None:
        self.looks += 1
        for repository in repositories:
            name = repository.name
            if name in self.silent or name in self.damaged:
                continue
            archive = WalArchive(repository.storage, self._target, self.first.system_id)
            try:
                start = self.slot_at_first.since or self._newest(archive)
                self.lags[name] = lag_of(archive, self.first, self.spans, start, self._clock())
            except IntegrityError as error:
                self.damaged[name] = error
                self.lags.pop(name, None)
            except StorageError as error:
                self.silent[name] = error.message
                self.lags.pop(name, None)

    def _newest(self, archive: WalArchive) -> Lsn:
        """Where to look without a slot: at the newest segment of the last 4 GiB and those before; else at the
        server's own position, of which nothing is there then."""
        here = self.first.flush_lsn
        log = here.position >> _LOG_BITS
        for high in (log, log - 1) if log else (log,):
            beginning = f"{self.first.timeline:08X}{high:08X}"
            names = [one.segment for one in archive.segments(self.first.timeline, beginning=beginning)]
            if names:
                return Lsn((high << _LOG_BITS) + int(max(names)[16:], 16) * self.first.segment_bytes)
        return here
