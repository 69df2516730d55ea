"""The way back to a past moment of a cluster: the same when a drill is planned and when it is carried out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstop.commands.recovery.preflight import WalSight
from backstop.commands.recovery.sources import recovery_sources, route_of
from backstop.commands.recovery.stored_wal import LOOK_BACK_SEGMENTS
from backstop.commands.wal.sources import ArchivedWal
from backstop.model.drill_loss import StoredPart
from backstop.model.drill_moment import Span
from backstop.model.lsn import WalSegment
from backstop.model.recovery import RecoveryTarget, TargetKind, plan_recovery, windows_for
from backstop.model.recovery_fit import CLOCK_ERROR
from backstop.model.recovery_target import LATEST_TIMELINE
from backstop.postgres.tools import PostgresTools
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.wal.sources import WalSource
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.lsn import Lsn
    from backstop.model.recovery import RecoveryPlan, RecoverySources
    from backstop.repository.catalog import Repository

MOST_LOOKED_INTO = 64
"""Segments between what was stored and where a recovery ended: of a server that was idle, and switched."""


@dataclass(slots=True)
class ClusterWay:
    """Out of one repository; others may lend WAL that it lacks.

    :param staging: where a few segments may be looked into.
    :param trusted_until: what was stored later is taken as not there, as after an attack.
    """

    repository: Repository
    target: str
    keyring: Keyring
    staging: Path
    others: Sequence[Repository] = ()
    trusted_until: datetime | None = None
    _sources: RecoverySources | None = None

    @property
    def sources(self) -> RecoverySources:
        """:raises NotFoundError: there is no base backup."""
        if self._sources is None:
            self._sources = recovery_sources(
                self.repository, target=self.target, keyring=self.keyring, stored_by=self.trusted_until
            )
        return self._sources

    def spans(self, *, now: datetime) -> dict[str, Span]:
        """By base backup on the newest timeline, the time that it can be rolled forward to.

        The last of them reach to now: what a repository lacks of the last minutes is a loss, and no reason
        not to recover.
        """
        windows = windows_for(RecoveryTarget(TargetKind.LATEST), self.sources, now=now)
        furthest = max((one.end_lsn for one in windows if one.end_lsn), default=None)
        return {
            one.base.label: Span(
                one.start_time, now if one.end_lsn == furthest else max(one.end_time or now, one.start_time)
            )
            for one in windows
        }

    def plan(
        self,
        moment: datetime,
        *,
        now: datetime,
        base: str | None = None,
        timeline: int | str = LATEST_TIMELINE,
    ) -> RecoveryPlan:
        """To the state at that moment.

        Where nothing was committed between the last commit that is stored and the moment, as far as is known,
        that is the end of the WAL: PostgreSQL ends in an error when it finds no commit after a time.

        :param base: begin with that one.
        :raises RecoveryImpossibleError: no way leads there. :raises ToolError: programs are missing.
        """
        to_end = RecoveryTarget(TargetKind.LATEST, timeline=timeline, base=base)
        to_moment = replace(to_end, kind=TargetKind.TIME, time=moment)
        newest = plan_recovery(to_end, self.sources, now=now)
        last_commit_at = self._last_commit_at(self._sight(newest), newest, moment)
        if last_commit_at is None or moment >= last_commit_at:
            # Not with a base backup that is newer than the moment.
            begun = [
                one.base.label
                for one in windows_for(to_end, self.sources, now=now)
                if one.start_time <= moment and one.end_lsn == newest.end_lsn
            ]
            if begun:
                return plan_recovery(replace(to_end, base=base or begun[-1]), self.sources, now=now)
        return plan_recovery(to_moment, self.sources, now=now, last_commit_at=last_commit_at)

    def commits_before(self, moment: datetime, plan: RecoveryPlan, *, behind: Lsn, end: Lsn) -> Lsn | None:
        """A position that everything committed by the moment lies before, not far behind the last of it.

        :param behind: that far everything is known to be stored. :param end: where recovery to it ended.
        :returns: None: it is too far to look.
        """
        size = plan.segment_bytes
        if end <= behind or end.position // size - behind.position // size > MOST_LOOKED_INTO:
            return end if end <= behind else None
        first = behind.position // size
        found = self._sight(plan).last_commit_by(moment, plan, first=first, end=end)
        return behind if found is None else found + 1

    def _sight(self, plan: RecoveryPlan) -> WalSight:
        tools = PostgresTools.find(plan.server_major, server=True)
        return WalSight(self.staging, self.wal(plan.system_id), tools)

    def _last_commit_at(self, sight: WalSight, newest: RecoveryPlan, moment: datetime) -> datetime | None:
        """Of an idle server it lies far back: looked for in whatever was written after the moment.

        None: there was none since.
        """
        following = route_of(newest).last.number - self._expected_at(newest, moment)
        return sight.last_commit(newest, look_back=max(following, LOOK_BACK_SEGMENTS))

    def _expected_at(self, newest: RecoveryPlan, moment: datetime) -> int:
        """Number of the first segment that may hold a commit later than the moment, by when it was stored."""
        last = route_of(newest).last.number
        coverage = newest.window.coverage
        for run in coverage.runs if coverage else ():
            # Clocks differ: one segment too many is no harm.
            found = self.sources.wal.first_written_after(
                run.timeline, run.first, run.last, moment - CLOCK_ERROR
            )
            if found is not None:
                return found
        return last

    def wal(self, system_id: str) -> list[WalSource]:
        """Where WAL is read from."""
        return [
            ArchivedWal(WalArchive(one.storage, self.target, system_id), self.keyring)
            for one in (self.repository, *self.others)
        ]

    def stored_parts(self, plan: RecoveryPlan) -> Iterator[StoredPart]:
        """All WAL of the plan's way that is stored in this repository, whole segments and pieces."""
        route = route_of(plan)
        archive = WalArchive(self.repository.storage, self.target, plan.system_id)
        for leg in route.legs:
            for stored in archive.segments(leg.timeline):
                segment = WalSegment.parse(stored.segment, size_bytes=route.segment_bytes)
                if _on_the_way(segment, route.segment(segment.number), route.first):
                    yield StoredPart(segment.start, segment.end, stored.modified_at)
            for piece in archive.tails(leg.timeline):
                segment = WalSegment.parse(piece.segment, size_bytes=route.segment_bytes)
                if _on_the_way(segment, route.segment(segment.number), route.first):
                    begin = segment.start + piece.offset_bytes
                    yield StoredPart(begin, begin + piece.length_bytes, piece.modified_at)


def _on_the_way(segment: WalSegment, planned: WalSegment, first: WalSegment) -> bool:
    return segment == planned and segment.number >= first.number
