"""``archive-wal``: receives a server's WAL from a slot and keeps it in every repository, for good.

The server is told that WAL is safe only when the repositories have acknowledged it. So whatever is lost on
the way, the spool and this machine included, the server sends again: a restart begins at what the
repositories have (:mod:`backstop.commands.wal.start`).
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING

from backstop.commands.staging import staging_directory, sweep_staging
from backstop.commands.wal.receiver import Receiver
from backstop.commands.wal.service_watch import Observations, WalWatch
from backstop.commands.wal.start import Planner, way_to
from backstop.commands.wal.work import WalWork
from backstop.errors import (
    BackstopError,
    ConfigurationError,
    SlotMissingError,
    SourceBusyError,
    SourceError,
    SourceUnavailableError,
    StorageError,
    StorageFullError,
    WalLostError,
)
from backstop.postgres.replication import ReplicationConnection
from backstop.postgres.slots import given_up, held_by
from backstop.repository.wal_archive import WalArchive
from backstop.repository.wal_sealing import prepare_sealing

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.commands.wal.state import ArchiverState
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import WalSegment
    from backstop.model.timeline import TimelineSpan
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.replication import ClusterIdentity
    from backstop.repository.catalog import Repository
    from backstop.storage.base import Storage

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2


def archive_wal(
    *,
    target: str,
    cluster: ClusterConnection,
    repositories: Sequence[Repository],
    keyring: Keyring,
    settings: ArchiveSettings,
    clock: Callable[[], datetime],
    stop: threading.Event,
    on_state: Callable[[ArchiverState], None],
    reading: Callable[[str], Storage] | None = None,
) -> None:
    """Receive and ship until ``stop``; what was received by then is shipped before it returns.

    A server or repository that goes away is waited for, however long, and so is space in the spool. Every
    second ``on_state`` is told, from another thread, how things stand.

    :param reading: a repository by its name, as somebody who may read WAL there: what one missed is copied
        from another, and ``repositories`` are the writer's, who may not. Asked when needed; None: they may.
    :raises WalLostError: WAL is missing between the archive and the server: a new base backup is needed.
    :raises SourceError: the server is another cluster than the archive's, or refuses us.
    :raises IntegrityError: what the server sends is archived with other content.
    :raises StorageFullError: no space in the spool at the very start.
    """
    if not repositories:
        raise ConfigurationError(f"{target} has no repository", hint="list one in targets.yaml")
    sweep_staging(settings.spool)
    with staging_directory(settings.spool, f"wal-{secrets.token_hex(8)}") as folder:
        archiver = _Archiver(target, cluster, repositories, keyring, settings, clock, stop, folder, reading)
        archiver.run(on_state)


class _Archiver:
    """What outlives a connection: the shipper, the tail, and what is known of the server."""

    def __init__(
        self,
        target: str,
        cluster: ClusterConnection,
        repositories: Sequence[Repository],
        keyring: Keyring,
        settings: ArchiveSettings,
        clock: Callable[[], datetime],
        stop: threading.Event,
        folder: Path,
        reading: Callable[[str], Storage] | None,
    ) -> None:
        self._reading = reading
        self._target = target
        self._cluster = cluster
        self._repositories = repositories
        self._keyring = keyring
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._folder = folder
        self._slot = settings.slot_of(target)
        self._seen = Observations(clock)
        self._work: WalWork | None = None
        self._began_to_wait: float | None = None
        self._slot_missed_since = 0.0
        self._slot_missed_on: tuple[bool, int] | None = None
        self._identity: ClusterIdentity | None = None
        self._standby = False

    def run(self, on_state: Callable[[ArchiverState], None]) -> None:
        watch = WalWatch(
            self._target, self._seen, settings=self._settings, clock=self._clock, on_state=on_state
        )
        with watch:
            try:
                self._run(watch)
            except BackstopError as error:
                self._seen.last_error = str(error)
                raise
            finally:
                self._seen.connected = False
                if self._work is not None:
                    self._work.close()

    def _run(self, watch: WalWatch) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                received = self._session(watch)
            except SourceBusyError as error:
                self._wait_in_line(error)
                received = False
            except SlotMissingError as error:
                self._wait_for_slot(error)
                received = False
            except StorageFullError as error:
                # Of the spool. The server keeps what is not confirmed; what was begun of it makes room here,
                # so that whole segments can be sealed and leave.
                if self._work is None:
                    raise
                self._work.tail.let_go()
                received = False
                self._note(error)
            except BackstopError as error:
                if not error.retryable:
                    raise
                if isinstance(error, SourceUnavailableError):
                    # Nobody could have made the slot meanwhile.
                    self._slot_missed_on = None
                received = False
                self._note(error)
            self._seen.connected = False
            if self._work is not None:
                # Also while the server is away.
                self._work.shipper.raise_if_fatal()
            pause = _FIRST_PAUSE_SECONDS if received else pause
            self._stop.wait(pause)
            pause = min(pause * 2, self._settings.longest_pause.total_seconds())

    def _session(self, watch: WalWatch) -> bool:
        """One connection, as long as it lasts; whether anything was received on it."""
        with ReplicationConnection(
            self._cluster, application_name=self._settings.application_name, stop=self._stop
        ) as connection:
            # In this order: one that is no standby any more is on the timeline that it then tells.
            self._standby = connection.is_standby()
            identity = self._identity = connection.identify()
            spans = way_to(connection, identity.timeline)
            work = self._work or self._prepare(connection, identity, spans, watch)
            self._refuse_another(identity, work)
            work.top_up.spans = spans
            segment = work.next_on(spans, connection.location)
            self._refuse_rolled_back(identity, segment, connection.location)
            receiver = Receiver(
                connection,
                slot=self._slot,
                shipper=work.shipper,
                tail=work.tail,
                top_up=work.top_up,
                seen=self._seen,
                stop=self._stop,
            )
            receiver.store_histories(spans)
            try:
                receiver.run(segment)
            except SlotMissingError:
                raise
            except WalLostError:
                if receiver.received_any or not work.go_on_after_gap():
                    raise
            finally:
                if receiver.received_any:
                    self._began_to_wait = self._slot_missed_on = None
            return receiver.received_any

    def _prepare(
        self,
        connection: ReplicationConnection,
        identity: ClusterIdentity,
        spans: Sequence[TimelineSpan],
        watch: WalWatch,
    ) -> WalWork:
        prepare_sealing(self._keyring)
        if self._settings.recreate_slot and given_up(self._cluster, self._slot):
            connection.drop_slot(self._slot)
        archives = {
            repository.name: WalArchive(repository.storage, self._target, identity.system_id)
            for repository in self._repositories
        }
        start = Planner(
            connection, identity, spans, archives=archives, slot=self._slot, settings=self._settings
        ).plan()
        log.info("receiving WAL of %s from %s on", self._target, start.segment)
        self._work = work = WalWork(
            archives,
            start,
            self._folder,
            keyring=self._keyring,
            settings=self._settings,
            clock=self._clock,
            reading=self._reading,
        )
        work.begin(spans)
        watch.shipper, watch.top_up = work.shipper, work.top_up
        return work

    def _refuse_another(self, identity: ClusterIdentity, work: WalWork) -> None:
        ours = work.shipper.names.system_id
        if identity.system_id != ours:
            raise SourceError(
                f"{self._cluster.location} is cluster {identity.system_id} now; it was {ours}",
                hint="another server answers at this address: correct the connection, or start anew",
            )

    def _refuse_rolled_back(self, identity: ClusterIdentity, segment: WalSegment, location: str) -> None:
        if identity.flush_lsn < segment.start and identity.timeline == segment.timeline:
            raise SourceBusyError(
                f"{location} has WAL up to {identity.flush_lsn}; the archive has it up to {segment.start}",
                hint="a standby may only be late; a server brought back from an older copy needs a new "
                "timeline: recover it to a point in time instead, then take a new base backup",
            )

    def _wait_in_line(self, error: SourceBusyError) -> None:
        """The slot may be held by a receiver that died, until the server notices."""
        now = time.monotonic()
        self._began_to_wait = self._began_to_wait or now
        if now - self._began_to_wait > self._settings.slot_patience.total_seconds():
            holder = held_by(self._cluster, self._slot)
            said = f"{error.message} (held by {holder})" if holder else error.message
            raise SourceError(said, hint=error.hint) from error
        self._note(error)

    def _wait_for_slot(self, error: SlotMissingError) -> None:
        """A copy brings no slots along: after a cut-over or failover, somebody makes it anew.

        :raises WalLostError: nobody did, or it is the server that has always been archived.
        """
        assert self._identity is not None  # noqa: S101 - it has just told us
        now, server = time.monotonic(), (self._standby, self._identity.timeline)
        if self._slot_missed_on != server:
            # Another server, or it was promoted: whoever makes it has as long again.
            self._slot_missed_on, self._slot_missed_since = server, now
        waited = now - self._slot_missed_since
        if waited > self._settings.slot_patience.total_seconds() or not self._may_be_made_anew():
            raise error
        self._note(error)

    def _may_be_made_anew(self) -> bool:
        """Whether it is a standby, which may be promoted, or began a timeline that is not archived yet."""
        assert self._identity is not None  # noqa: S101 - it has just told us
        system_id, timeline = self._identity.system_id, self._identity.timeline
        try:
            return self._standby or (
                timeline > 1
                and not any(
                    WalArchive(repository.storage, self._target, system_id).has_timeline(timeline)
                    for repository in self._repositories
                )
            )
        except StorageError:
            return False

    def _note(self, error: BackstopError) -> None:
        if self._stop.is_set():
            return
        log.warning("archiving the WAL of %s waits: %s", self._target, error)
        self._seen.last_error = str(error)
