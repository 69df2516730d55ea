"""Series of what is backed up, of the WAL, and of drills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.metrics import series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.commands.metrics.sheet import Sheet
    from backstop.model.observation import (
        BackupSeen,
        ComponentSeen,
        DrillSeen,
        Observation,
        SlotSeen,
        WindowSeen,
    )

SLOT_STATES = ("active", "inactive", "missing", "lost")


def add_component(sheet: Sheet, target: str, seen: ComponentSeen, *, good: bool) -> None:
    """:param good: ``backup_status``."""
    labels = (target, seen.kind)
    sheet.set(series.STATUS, labels, good)
    sheet.set(series.DUE, labels, seen.due_at)
    sheet.set(series.NEXT_DUE, labels, seen.next_due_at)
    sheet.set(series.LAST_PROOF, labels, seen.proven_at)
    sheet.set(series.BACKUPS, labels, seen.backups)
    sheet.set(series.PROVEN_BACKUPS, labels, seen.proven_backups)
    sheet.set(series.OBSERVED_RPO, labels, seen.loss)
    sheet.set(series.RPO_OBJECTIVE, labels, seen.rpo)
    sheet.set(series.RTO_OBJECTIVE, labels, seen.rto)
    if seen.newest is not None:
        _add_newest(sheet, labels, seen.newest)
    if seen.proven is not None:
        sheet.set(series.PROVEN_SNAPSHOT, labels, seen.proven.snapshot_at)
    if seen.forecast is not None:
        sheet.set(series.PREDICTED_RTO, (*labels, "median"), seen.forecast.median_seconds)
        sheet.set(series.PREDICTED_RTO, (*labels, "low"), seen.forecast.low_seconds)
        sheet.set(series.PREDICTED_RTO, (*labels, "high"), seen.forecast.high_seconds)
        sheet.set(series.RTO_SAMPLES, labels, seen.forecast.samples)
    if seen.accuracy is not None:
        sheet.set(series.FORECAST_JUDGED, labels, seen.accuracy.judged)
        sheet.set(series.FORECAST_WITHIN, labels, seen.accuracy.within / seen.accuracy.judged)
        sheet.set(series.FORECAST_ERROR, labels, seen.accuracy.median_error)


def add_drill(sheet: Sheet, target: str, seen: DrillSeen) -> None:
    """The last rehearsed disaster."""
    sheet.set(series.DRILL_AT, (target,), seen.ended_at)
    sheet.set(series.DRILL_PASSED_AT, (target,), seen.last_passed_at)
    sheet.set(series.DRILL_PASSED, (target,), seen.passed)
    sheet.set(series.DRILL_OBJECTIVES, (target,), seen.objectives_met)
    for one in seen.components:
        sheet.set(series.DRILL_DOWNTIME, (target, one.component), one.downtime)
        sheet.set(series.DRILL_LOSS, (target, one.component), one.loss)


def _add_newest(sheet: Sheet, labels: tuple[str, str], newest: BackupSeen) -> None:
    sheet.set(series.LAST_SUCCESS, labels, newest.finished_at)
    sheet.set(series.LAST_SNAPSHOT, labels, newest.snapshot_at)
    sheet.set(series.DURATION, labels, newest.seconds)
    sheet.set(series.STORED, labels, newest.stored_bytes)
    sheet.set(series.PLAIN, labels, newest.plain_bytes)
    for repository in newest.repositories:
        sheet.set(series.NEWEST_PROVEN, (*labels, repository), repository in newest.proven_in)


def add_wal(sheet: Sheet, seen: Observation) -> None:
    """Archiving, and from when to when the cluster can be recovered."""
    for repository, windows in _by_repository(seen):
        labels = (seen.target, repository)
        sheet.set(series.WAL_GAPS, labels, sum(one.gap for one in windows))
        newest = max(windows, key=lambda one: (one.newest, one.ends_at))
        sheet.set(series.WINDOW_BEGIN, labels, newest.begins_at)
        sheet.set(series.WINDOW_END, labels, newest.ends_at)
    if seen.wal is None:
        return
    for repository, loss in seen.wal.observed_rpo.items():
        sheet.set(series.REPOSITORY_RPO, (seen.target, "base", repository), loss)
    for repository, behind_bytes in seen.wal.behind_bytes.items():
        sheet.set(series.WAL_BEHIND, (seen.target, repository), behind_bytes)
    if seen.wal.slot is not None:
        _add_slot(sheet, (seen.target, seen.wal.slot.name), seen.wal.slot)


def _by_repository(seen: Observation) -> Iterator[tuple[str, list[WindowSeen]]]:
    for name in dict.fromkeys(one.repository for one in seen.windows):
        yield name, [one for one in seen.windows if one.repository == name]


def _add_slot(sheet: Sheet, labels: tuple[str, str], slot: SlotSeen) -> None:
    sheet.state(series.SLOT_STATE, labels, slot.state, SLOT_STATES)
    sheet.set(series.SLOT_RETAINED, labels, slot.retained_bytes)
    sheet.set(series.SLOT_LIMIT, labels, slot.limit_bytes)
