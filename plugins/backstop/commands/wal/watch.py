"""How far behind its server each repository is, seen from outside: by what the server says, and by names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.wal.start import segment_at, way_to, whole_until
from backstop.errors import BackstopError, WalLostError
from backstop.model.canonical import format_time
from backstop.model.lsn import Lsn
from backstop.postgres.replication import ReplicationConnection
from backstop.postgres.slots import given_up
from backstop.repository.wal_archive import WalArchive, archived_position
from backstop.repository.wal_names import covering

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.model.lsn import WalSegment
    from backstop.model.timeline import TimelineSpan
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.replication import ClusterIdentity
    from backstop.repository.catalog import Repository


BACKLOG_BYTES = 8 * 16 * 1024 * 1024
"""Behind by more than this, WAL that is stored now may have been written long ago, and the age of the newest
object says nothing about what would be lost."""


@dataclass(frozen=True, slots=True)
class Lag:
    """One repository.

    :param position: it holds everything before, as far back as the slot's own promise.
    :param behind_bytes: WAL that the server has and the repository has not.
    :param observed_rpo: at most so much would be lost if only this repository were left; None: nothing of
        this cluster's WAL is there.
    :param reaches: it has what lies before ``position``, too. Otherwise the slot was moved on without it, and
        it lacks more than ``behind_bytes``.
    """

    position: Lsn
    behind_bytes: int
    observed_rpo: timedelta | None
    reaches: bool = True


@dataclass(frozen=True, slots=True)
class ArchivingSeen:
    """What was found, at the moment ``at``.

    :param failed: repositories that did not answer, and why.
    """

    at: datetime
    timeline: int
    server_position: Lsn
    retained_bytes: int
    lags: dict[str, Lag] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def beyond(self, objective: timedelta | None) -> list[str]:
        """One sentence for each repository that a disaster would find further behind than allowed."""
        late = [f"repository {name} did not answer: {why}" for name, why in self.failed.items()]
        for name, lag in self.lags.items():
            if lag.observed_rpo is None:
                late.append(f"repository {name} has no WAL of this cluster")
            elif objective is not None and lag.behind_bytes >= BACKLOG_BYTES:
                late.append(
                    f"repository {name} is {lag.behind_bytes} bytes behind; how much time that is cannot be "
                    "told while it catches up"
                )
            elif objective is not None and lag.observed_rpo > objective:
                behind = (
                    f"is {lag.behind_bytes} bytes behind"
                    if lag.reaches
                    else "lacks WAL that the slot keeps no longer"
                )
                late.append(
                    f"repository {name} {behind}: up to "
                    f"{_seconds(lag.observed_rpo)} would be lost, and {_seconds(objective)} may be"
                )
        return late

    def sentences(self) -> list[str]:
        """For a log."""
        said = [f"the server is at {self.server_position} and keeps {self.retained_bytes} bytes for the slot"]
        for name, lag in self.lags.items():
            lost = (
                "nothing is there"
                if lag.observed_rpo is None
                else f"at most {_seconds(lag.observed_rpo)} lost"
            )
            if lag.reaches:
                said.append(f"{name} has all before {lag.position}: {lag.behind_bytes} bytes behind, {lost}")
            else:
                said.append(f"{name} lacks WAL that the slot keeps no longer: {lost}")
        return said

    def to_dict(self) -> dict[str, Any]:
        return {
            "at": format_time(self.at),
            "timeline": self.timeline,
            "server_position": str(self.server_position),
            "retained_bytes": self.retained_bytes,
            "repositories": {
                name: {
                    "position": str(lag.position),
                    "behind_bytes": lag.behind_bytes,
                    "observed_rpo_seconds": None
                    if lag.observed_rpo is None
                    else round(lag.observed_rpo.total_seconds(), 3),
                }
                for name, lag in self.lags.items()
            },
            "failed": dict(self.failed),
        }


def observe_archiving(
    *,
    target: str,
    cluster: ClusterConnection,
    repositories: Sequence[Repository],
    slot: str,
    now: Callable[[], datetime],
) -> ArchivingSeen:
    """Ask the server where it is, and each repository's names how far they reach.

    A repository that has the server's position loses nothing. Of one that is behind, all that was committed
    before its newest object was stored is there, so the age of that bounds the loss; the clocks of
    repository and caller are taken to agree.

    :raises WalLostError: the slot is missing or was given up: the server no longer keeps what is not stored.
    :raises SourceUnavailableError: the server does not answer.
    """
    with ReplicationConnection(cluster, application_name="backstop:watch") as connection:
        identity = connection.identify()
        state = connection.slot(slot)
        if state is None or state.restart_lsn is None or given_up(cluster, slot):
            raise WalLostError(
                f"{connection.location} {'has no slot' if state is None else 'has given up slot'} {slot}: "
                "it no longer keeps the WAL that is not stored yet",
                hint="start archive-wal (with --recreate-slot when WAL was archived before), then take a new "
                "base backup",
            )
        spans = way_to(connection, identity.timeline)
    lags: dict[str, Lag] = {}
    failed: dict[str, str] = {}
    for repository in repositories:
        archive = WalArchive(repository.storage, target, identity.system_id)
        try:
            lags[repository.name] = lag_of(archive, identity, spans, state.restart_lsn, now())
        except BackstopError as error:
            failed[repository.name] = error.message
    return ArchivingSeen(
        at=now(),
        timeline=identity.timeline,
        server_position=identity.flush_lsn,
        retained_bytes=max(0, identity.flush_lsn - state.restart_lsn),
        lags=lags,
        failed=failed,
    )


def lag_of(
    archive: WalArchive,
    identity: ClusterIdentity,
    spans: Sequence[TimelineSpan],
    kept_from: Lsn,
    now: datetime,
) -> Lag:
    """How far one repository is behind, by names alone.

    :param kept_from: the repository is known to have everything before, if anything: where the slot stands.
    :raises IntegrityError: a segment is there with two contents; :raises StorageError: it does not answer.
    """
    size_bytes = identity.segment_bytes
    first = segment_at(spans, kept_from, size_bytes)
    whole = segment_at(spans, whole_until(archive, spans, first), size_bytes)
    position = archived_position(
        archive, timeline=whole.timeline, segment_bytes=size_bytes, start=whole.start
    )
    behind = max(0, identity.flush_lsn - position)
    # Nothing of what the slot keeps is there. At the very end of a segment that may be in order.
    reaches = position > first.start or _has_before(archive, spans, first)
    if reaches and not behind:
        return Lag(position, 0, timedelta(0))
    return Lag(position, behind, _age(archive, spans, whole, now), reaches)


def _has_before(archive: WalArchive, spans: Sequence[TimelineSpan], segment: WalSegment) -> bool:
    if not segment.number:
        return True
    before = Lsn((segment.number - 1) * segment.size_bytes)
    return archive.find(segment_at(spans, before, segment.size_bytes)) is not None


def _age(
    archive: WalArchive, spans: Sequence[TimelineSpan], growing: WalSegment, now: datetime
) -> timedelta | None:
    """Since the newest object was stored that follows on all before it: what lies behind a gap, new as it may
    be, brings nothing back.

    :param growing: the first segment that is not there whole.
    """
    stored = [delta.modified_at for delta in covering(archive.deltas(growing))]
    if growing.number:
        start = Lsn((growing.number - 1) * growing.size_bytes)
        last = archive.find(segment_at(spans, start, growing.size_bytes))
        stored += [last.modified_at] if last else []
    if not stored:
        # The slot was moved on without this repository: how far back its WAL ends is not looked for.
        older = archive.segments(growing.timeline, beginning=growing.name[:16])
        stored = [one.modified_at for one in older if one.segment < growing.name]
    return max(timedelta(0), now - max(stored)) if stored else None


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f} s"
