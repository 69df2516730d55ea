"""Recovery windows: from where to where a base backup and the stored WAL lead, and what ends each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn
from backstop.model.wal_path import Coverage, cover

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backstop.model.backup import Manifest
    from backstop.model.timeline import Histories, TimelineSpan
    from backstop.model.wal import StoredWal


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """What recovery needs to know about one base backup.

    :param start: where replay begins.
    :param end: where the copy is consistent, and the earliest position one can stop at.
    :param finished_at: when it ended, by the server's clock: the earliest moment one can recover to.
    :param parent: label of the backup that an incremental one builds on.
    :param unusable: in words, why it must not be used (unreadable, signed by nobody we trust, lacking
        objects); empty when nothing is known against it.
    """

    label: str
    system_id: str
    timeline: int
    start: Lsn
    end: Lsn
    finished_at: datetime
    server_major: int
    parent: str | None = None
    unusable: str = ""

    @classmethod
    def from_manifest(cls, manifest: Manifest, *, unusable: str = "") -> BaseBackup:
        """:raises ValueError: when the manifest is not that of a base backup."""
        if manifest.timeline is None or manifest.start_lsn is None or manifest.end_lsn is None:
            raise ValueError(f"{manifest.label} has no timeline and positions: it is no base backup")
        return cls(
            label=manifest.label.text,
            system_id=manifest.system_id,
            timeline=manifest.timeline,
            start=Lsn.parse(manifest.start_lsn),
            end=Lsn.parse(manifest.end_lsn),
            finished_at=manifest.snapshot_at,
            server_major=manifest.server_major,
            parent=manifest.parent.text if manifest.parent else None,
            unusable=unusable,
        )


@dataclass(frozen=True, slots=True)
class RecoverySources:
    """Everything a recovery of one cluster could be made from, in one repository.

    :param bases: also those of other clusters under the same target; they are told apart by ``system_id``.
    """

    bases: Sequence[BaseBackup]
    wal: StoredWal
    histories: Histories

    @property
    def own_bases(self) -> list[BaseBackup]:
        """Those of this cluster, oldest first."""
        own = [base for base in self.bases if base.system_id == self.wal.system_id]
        return sorted(own, key=lambda base: (base.finished_at, base.label))

    @property
    def timelines(self) -> frozenset[int]:
        """Every timeline that anything is known of."""
        return self.wal.timelines | self.histories.known | {base.timeline for base in self.own_bases}


@dataclass(frozen=True, slots=True)
class RecoveryWindow:
    """Where one base backup can be rolled forward to along one timeline.

    :param chain: labels of the backups to combine, the full one first, ``base`` last.
    :param path: which timeline each position belongs to.
    :param coverage: the WAL from the start of the base on; None when ``broken`` without looking at it.
    :param broken: in words, why the base backup cannot be restored at all; empty when it can.
    """

    base: BaseBackup
    chain: tuple[str, ...]
    timeline: int
    path: tuple[TimelineSpan, ...]
    coverage: Coverage | None
    broken: str

    @property
    def start_lsn(self) -> Lsn:
        return self.base.end

    @property
    def start_time(self) -> datetime:
        return self.base.finished_at

    @property
    def end_lsn(self) -> Lsn | None:
        """The first position that cannot be had any more; None when the base cannot be restored."""
        return None if self.broken or self.coverage is None else self.coverage.end

    @property
    def end_time(self) -> datetime | None:
        """No commit in this window is later, by the repository's clock: when its last WAL had been written.

        Names hold no times of commits. Between this and the last commit nothing can be recovered *to*;
        whoever has looked into the last segment knows better.
        """
        return None if self.broken or self.coverage is None else self.coverage.written_by

    @property
    def has_gap(self) -> bool:
        """Whether more WAL is known to exist behind what ends it."""
        return self.coverage is not None and self.coverage.gap is not None

    @property
    def ends_unfinished(self) -> bool:
        """Whether the gap is no more than a hole in the segment that was growing last."""
        return self.coverage is not None and self.coverage.unfinished

    @property
    def ends_because(self) -> str:
        """In words, what ends the window."""
        if self.broken:
            return self.broken
        return self.coverage.ends_because if self.coverage else ""

    def __str__(self) -> str:
        name = f"{self.base.label} on timeline {self.timeline}"
        if self.end_lsn is None:
            return f"{name}: cannot be restored, because {self.ends_because}"
        return f"{name}: {self.start_lsn} to {self.end_lsn}, where {self.ends_because}"


def recovery_windows(sources: RecoverySources) -> tuple[RecoveryWindow, ...]:
    """One window for each base backup and each timeline that leads on from it; by timeline, then by age.

    A base backup is on the way to a timeline when the cluster had not left the backup's own timeline before
    the backup's end (docs, "Timelines": otherwise the server refuses with "requested timeline is not a child
    of this server's history").
    """
    by_label = {base.label: base for base in sources.own_bases}
    windows: list[RecoveryWindow] = []
    for timeline in sorted(sources.timelines):
        path = sources.histories.path_to(timeline)
        for base in sources.own_bases:
            if not _lies_on(base, path):
                continue
            chain, broken = _chain(base, by_label)
            coverage = None
            if not broken:
                coverage = cover(sources.wal, path, base.start)
                broken = _lacks_own_wal(base, coverage)
            windows.append(RecoveryWindow(base, chain, timeline, path, coverage, broken))
    return tuple(windows)


def timeline_problems(sources: RecoverySources) -> tuple[str, ...]:
    """In words, which timelines cannot be reached from older base backups, and which names are not WAL's."""
    problems = []
    for timeline in sorted(sources.timelines):
        why = sources.histories.missing_for(timeline)
        if why:
            problems.append(f"{why}: no base backup of an older timeline can be rolled onto {timeline}")
    problems += [
        f"{name} is not the name of a WAL segment of this cluster" for name in sources.wal.unreadable
    ]
    return tuple(problems)


def _lies_on(base: BaseBackup, path: Sequence[TimelineSpan]) -> bool:
    return any(
        span.timeline == base.timeline
        and span.begin <= base.start
        and (span.end is None or base.end <= span.end)
        for span in path
    )


def _chain(base: BaseBackup, by_label: Mapping[str, BaseBackup]) -> tuple[tuple[str, ...], str]:
    """The labels to combine, full first, or why they are not all there."""
    labels = [base.label]
    link = base
    while True:
        if link.unusable:
            return tuple(reversed(labels)), f"{link.label} cannot be used: {link.unusable}"
        if link.parent is None:
            return tuple(reversed(labels)), ""
        if link.parent in labels:
            return tuple(reversed(labels)), f"{link.label} builds on itself"
        if link.parent not in by_label:
            return tuple(reversed(labels)), f"{link.label} builds on {link.parent}, which is not there"
        link = by_label[link.parent]
        labels.append(link.label)


def _lacks_own_wal(base: BaseBackup, coverage: Coverage) -> str:
    if coverage.end is not None and base.end <= coverage.end:
        return ""
    return f"it needs WAL up to {base.end} to be consistent, and {coverage.ends_because}"
