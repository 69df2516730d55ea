"""Everything one repository holds that a cluster could be recovered from, by names and manifests alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from backstop.commands.wal.route import Leg, WalRoute
from backstop.errors import BackstopError, NotFoundError
from backstop.model.canonical import format_time
from backstop.model.lsn import DEFAULT_SEGMENT_BYTES
from backstop.model.recovery import windows_for
from backstop.model.timeline import Histories, StoredHistory
from backstop.model.wal import StoredWal
from backstop.model.wal_tail import TailPiece
from backstop.model.window import BaseBackup, RecoverySources
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest
    from backstop.model.lsn import Lsn
    from backstop.model.recovery import RecoveryPlan, RecoveryTarget
    from backstop.model.timeline import TimelineSpan
    from backstop.model.window import RecoveryWindow
    from backstop.repository.catalog import Repository


log = logging.getLogger(__name__)


def _is_of_use(manifest: Manifest) -> bool:
    """Whether it is a base backup that says where its WAL lies; one that does not stops no other."""
    if not manifest.kind.physical:
        return False
    try:
        BaseBackup.from_manifest(manifest)
        int(manifest.summary.get("wal_segment_bytes", DEFAULT_SEGMENT_BYTES))
    except (ValueError, OverflowError, TypeError) as error:
        log.warning("%s of %s is left out: %s", manifest.label, manifest.target, error)
        return False
    return True


def recovery_sources(
    repository: Repository, *, target: str, keyring: Keyring, stored_by: datetime | None = None
) -> RecoverySources:
    """What :func:`~backstop.model.recovery.plan_recovery` decides by, for the cluster backed up last.

    :param stored_by: what was stored later, by the repository's clock, is taken as not there.
    :raises NotFoundError: there is no base backup of this target.
    """
    manifests = [
        published.manifest
        for published in repository.catalog.backups().backups
        if _is_of_use(published.manifest)
        and (stored_by is None or published.manifest.finished_at <= stored_by)
    ]
    if not manifests:
        raise NotFoundError(
            f"{repository.location} holds no base backup of {target}"
            + ("" if stored_by is None else f" that had ended by {format_time(stored_by)}"),
            hint="take one, or restore a dump",
        )
    newest = max(manifests, key=lambda manifest: manifest.snapshot_at)
    archive = WalArchive(repository.storage, target, newest.system_id)
    bases = [BaseBackup.from_manifest(manifest) for manifest in manifests]
    wal = StoredWal.collect(
        _segments(archive, stored_by),
        system_id=newest.system_id,
        segment_bytes=int(newest.summary.get("wal_segment_bytes", DEFAULT_SEGMENT_BYTES)),
        tails=_tails(archive, stored_by),
    )
    histories = _histories(archive, keyring)
    if stored_by is not None:
        # Of a timeline that began later nothing else is there.
        begun = max([*wal.timelines, *(base.timeline for base in bases)], default=1)
        histories = (one for one in histories if one.timeline <= begun)
    return RecoverySources(bases=bases, wal=wal, histories=Histories.read(histories))


def route_of(plan: RecoveryPlan) -> WalRoute:
    """The plan's way through the WAL."""
    return _route(plan.path, plan.window.base.start, plan.end_lsn, plan.segment_bytes)


def routes_to_look_along(goal: RecoveryTarget, sources: RecoverySources, *, now: datetime) -> list[WalRoute]:
    """All WAL in which the goal may lie, the newest first; no segment twice."""
    longest: dict[Lsn, RecoveryWindow] = {}
    for window in windows_for(goal, sources, now=now):
        if window.end_lsn is not None:
            other = longest.setdefault(window.end_lsn, window)
            # Two that end at the same place differ in how much lies before.
            if window.base.start < other.base.start:
                longest[window.end_lsn] = window
    return [
        _route(longest[end].path, longest[end].base.start, end, sources.wal.segment_bytes)
        for end in sorted(longest, reverse=True)
    ]


def _route(path: Sequence[TimelineSpan], start: Lsn, end: Lsn, segment_bytes: int) -> WalRoute:
    spans = [
        span
        for span in path
        if (span.end is None or span.end > start) and (span.begin < end or span.begin <= start)
    ]
    return WalRoute(tuple(Leg(span.timeline, max(span.begin, start)) for span in spans), end, segment_bytes)


def _segments(archive: WalArchive, by: datetime | None) -> Iterator[tuple[str, str, datetime]]:
    for info in archive.storage.list(archive.names.whole):
        if by is not None and info.modified_at > by:
            continue
        if stored := archive.names.parse_segment(info):
            yield stored.segment, stored.sha, stored.modified_at


def _tails(archive: WalArchive, by: datetime | None) -> Iterator[TailPiece]:
    for info in archive.storage.list(archive.names.tails):
        if by is not None and info.modified_at > by:
            continue
        if found := archive.names.parse_delta(info):
            yield TailPiece(
                segment=found.segment,
                offset=found.offset_bytes,
                length=found.length_bytes,
                sha16=found.sha,
                stored_at=found.modified_at,
            )


def _histories(archive: WalArchive, keyring: Keyring) -> Iterator[StoredHistory]:
    for found in archive.histories():
        try:
            content = archive.read_history(found.timeline, keyring=keyring)
        except BackstopError as error:
            if error.retryable:
                raise
            # Known to exist and not to be used: the model says so where it matters.
            content = b"unreadable: " + found.sha.encode()
        yield StoredHistory(found.timeline, found.sha, content)
