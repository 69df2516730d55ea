"""Where a receiver begins: at the end of what is archived, as long as the server still has what follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstop.errors import (
    BackstopError,
    IntegrityError,
    SlotMissingError,
    SourceError,
    StorageError,
    WalLostError,
)
from backstop.model.lsn import Lsn, WalSegment
from backstop.model.timeline import TimelineSpan, ancestry, parse_history
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backstop.commands.wal.settings import ArchiveSettings
    from backstop.postgres.replication import ClusterIdentity, ReplicationConnection, SlotState
    from backstop.repository.wal_archive import WalArchive

_LOST_HINT = (
    "take a new base backup: recovery cannot pass a gap. "
    "To archive from now on, start once with recreate_slot"
)


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin and what every repository has until then.

    :param base: the first segment that the slot was keeping; :param segment: the first to receive.
    :param positions: by repository that answered, the end of its contiguous WAL from ``base`` on.
    :param failed: the repositories that did not answer, and why.
    :param known: hashes of what is archived beyond, by segment name.
    :param otherwise: where to begin when the server no longer has ``segment``; None: then WAL is lost.
    """

    base: WalSegment
    segment: WalSegment
    positions: Mapping[str, Lsn]
    failed: Mapping[str, BackstopError]
    known: Mapping[str, str]
    otherwise: WalSegment | None = None
    lost: str = ""

    def without_doubt(self) -> Start:
        """The same once the server has shown what it has."""
        return replace(self, otherwise=None, lost="")


def way_to(connection: ReplicationConnection, timeline: int) -> tuple[TimelineSpan, ...]:
    """Which timeline holds which part of the server's WAL, the oldest first."""
    return ancestry(parse_history(timeline, connection.timeline_history(timeline)))


def timeline_of(spans: Sequence[TimelineSpan], start: Lsn, segment_bytes: int) -> int:
    """The timeline whose file holds the segment that starts there: the newest that reaches into it.

    A new timeline's first file begins with what the old one had in it.
    """
    return next(
        (span.timeline for span in reversed(spans) if span.begin < start + segment_bytes), spans[0].timeline
    )


def segment_at(spans: Sequence[TimelineSpan], position: Lsn, segment_bytes: int) -> WalSegment:
    """The segment of the server's WAL that holds this position."""
    start = Lsn(position.position - position.position % segment_bytes)
    timeline = timeline_of(spans, start, segment_bytes)
    return WalSegment.containing(start, timeline=timeline, size_bytes=segment_bytes)


def whole_until(archive: WalArchive, spans: Sequence[TimelineSpan], first: WalSegment) -> Lsn:
    """The end of the whole segments in the archive from ``first`` on, along the server's timelines.

    :raises IntegrityError: one of them is there with two contents.
    """
    segment = first
    while True:
        begun = segment
        for found, stored in archive.segments_from(segment):
            if segment_at(spans, found.start, found.size_bytes) != found:
                break
            archive.refuse_conflict(found, stored)
            segment = segment_at(spans, found.end, found.size_bytes)
        if segment == begun:
            return segment.start


class Planner:
    """Looks at the slot and the archives, and decides.

    :param spans: of the server's timeline.
    """

    def __init__(
        self,
        connection: ReplicationConnection,
        identity: ClusterIdentity,
        spans: Sequence[TimelineSpan],
        *,
        archives: Mapping[str, WalArchive],
        slot: str,
        settings: ArchiveSettings,
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._spans = spans
        self._slot = slot
        self._settings = settings
        self._failed: dict[str, BackstopError] = {}
        self._archives = dict(archives)

    def plan(self) -> Start:
        """Decide; creates the slot where there is none and nothing is archived yet.

        :raises SourceError: the archive is another cluster's.
        :raises WalLostError: WAL is archived, and the slot that kept what follows is gone
            (:class:`SlotMissingError`) or given up.
        :raises StorageError: no repository answers.
        """
        archived = [name for name in list(self._archives) if self._ask(name)]
        if not self._archives:
            raise next(iter(self._failed.values()))
        slot, made = self._usable_slot(archived)
        assert slot.restart_lsn is not None  # noqa: S101 - a usable one keeps WAL
        base = segment_at(self._spans, slot.restart_lsn, self._identity.segment_bytes)
        if not archived:
            return self._start(base, base, dict.fromkeys(self._archives, base.start))
        if not made and self._reaches(base):
            return self._resume(base)
        return self._after_doubt(base, made=made)

    def _ask(self, name: str) -> bool:
        """Whether the repository has WAL of this cluster; one that fails is set aside."""
        archive = self._archives[name]
        try:
            refuse_newer(archive.storage)
            other = archive.other_system()
            has = any(archive.has_timeline(span.timeline) for span in self._spans)
        except (StorageError, IntegrityError) as error:
            self._failed[name] = error
            del self._archives[name]
            return False
        if other is not None and not self._settings.new_cluster:
            raise SourceError(
                f"{self._connection.location} is cluster {self._identity.system_id}, but the WAL in "
                f"{archive.storage.location}/{archive.names.all_systems} is of cluster {other}",
                hint="give every cluster a target of its own; after pg_upgrade or a new initdb, start "
                "archive-wal once with --new-cluster, and take a new full base backup",
            )
        return has

    def _usable_slot(self, archived: Sequence[str]) -> tuple[SlotState, bool]:
        """The slot, and whether it had to be made although WAL is archived."""
        slot = self._connection.slot(self._slot)
        if slot is not None and not slot.lost:
            return slot, False
        if slot is None and not archived and self._failed and not self._settings.recreate_slot:
            # Whether WAL was archived before, and is now missing, only a repository that is silent can tell.
            raise next(iter(self._failed.values()))
        if archived and not self._settings.recreate_slot:
            what = "is gone" if slot is None else "was given up: it would have kept more WAL than allowed"
            kind = SlotMissingError if slot is None else WalLostError
            raise kind(
                f"slot {self._slot} of {self._connection.location} {what}; WAL after {self._last()} may be "
                "missing",
                hint=_LOST_HINT,
            )
        if slot is not None:
            self._connection.drop_slot(self._slot)
        return self._connection.create_slot(self._slot), bool(archived)

    def _reaches(self, base: WalSegment) -> bool:
        """Whether what the slot keeps follows on what some repository has.

        A slot of ours is only ever moved on by what is stored, so the segment before is there, whole. One
        that somebody made anew under the same name may begin anywhere.
        """
        if base.number == 0:
            return True
        start = Lsn((base.number - 1) * base.size_bytes)
        before = segment_at(self._spans, start, base.size_bytes)
        return any(archive.find(before) is not None for archive in self._archives.values())

    def _resume(self, base: WalSegment) -> Start:
        positions = {
            name: whole_until(archive, self._spans, base) for name, archive in self._archives.items()
        }
        segment = segment_at(self._spans, max(positions.values()), base.size_bytes)
        return self._start(base, segment, positions)

    def _after_doubt(self, base: WalSegment, *, made: bool) -> Start:
        """The slot does not say that nothing is missing: ask the server for what follows the archive."""
        last = self._last()
        segment = segment_at(self._spans, last, base.size_bytes)
        if segment >= base:
            return self._start(base, base, dict.fromkeys(self._archives, base.start))
        start = self._start(segment, segment, dict.fromkeys(self._archives, segment.start))
        lost = f"{self._connection.location} no longer has the WAL after {last}, which is not archived"
        return replace(start, otherwise=base if made else None, lost=lost)

    def _last(self) -> Lsn:
        """The end of the newest whole segment in any repository, or where its timeline was left before that;
        reads all names of one timeline."""
        size_bytes = self._identity.segment_bytes
        for span in reversed(self._spans):
            names = [
                stored.segment
                for archive in self._archives.values()
                for stored in archive.segments(span.timeline)
            ]
            if names:
                end = WalSegment.parse(max(names), size_bytes=size_bytes).end
                return end if span.end is None else min(end, span.end)
        tails = [
            delta.segment
            for archive in self._archives.values()
            for span in self._spans
            for delta in archive.tails(span.timeline)
        ]
        return WalSegment.parse(min(tails), size_bytes=size_bytes).start if tails else Lsn(0)

    def _start(self, base: WalSegment, segment: WalSegment, positions: Mapping[str, Lsn]) -> Start:
        known = {
            stored.segment: stored.sha
            for archive in self._archives.values()
            for stored in archive.segments(segment.timeline, beginning=segment.name[:16])
            if stored.segment >= segment.name
        }
        return Start(base, segment, positions, dict(self._failed), known)
