"""A cluster's base backups, WAL and histories as plain values, for tests of windows and plans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from backstop.model.lsn import MEBIBYTE, Lsn, WalSegment
from backstop.model.timeline import Histories, StoredHistory
from backstop.model.wal import StoredSegment, StoredWal
from backstop.model.wal_tail import TailPiece
from backstop.model.window import BaseBackup, RecoverySources

SIZE = MEBIBYTE
START = datetime(2026, 11, 23, 1, 0, tzinfo=timezone.utc)
CLUSTER = "7300000000000000000"


def minute(number: float) -> datetime:
    """In these tests every segment takes a minute to fill, and is stored when it is full."""
    return START + timedelta(minutes=number)


def lsn(segments: float) -> Lsn:
    """The position so many segments into the WAL stream."""
    return Lsn(int(segments * SIZE))


def segment(number: int, timeline: int = 1) -> WalSegment:
    return WalSegment(timeline, number, SIZE)


def stored(number: int, timeline: int = 1, sha16: str = "00000000000000aa") -> StoredSegment:
    return StoredSegment(segment(number, timeline).name, sha16, minute(number + 1))


def piece(number: int, offset: int, length: int, *, timeline: int = 1, sha16: str = "bb") -> TailPiece:
    at = minute(number + (offset + length) / SIZE)
    return TailPiece(segment(number, timeline).name, offset, length, sha16, at)


def base(number: int, *, timeline: int = 1, label: str = "", **changes: object) -> BaseBackup:
    """A base backup within one segment: from a quarter of it to its half."""
    made = BaseBackup(
        label=label or f"base-{number}",
        system_id=CLUSTER,
        timeline=timeline,
        start=lsn(number + 0.25),
        end=lsn(number + 0.5),
        finished_at=minute(number + 0.5),
        server_major=18,
    )
    return replace(made, **changes)


def history(timeline: int, *switches: tuple[int, float]) -> StoredHistory:
    lines = [f"{parent}\t{lsn(at)}\tno recovery target specified\n" for parent, at in switches]
    return StoredHistory(timeline, f"{timeline:016x}", "".join(lines).encode())


@dataclass
class Cluster:
    """What the repository holds of one cluster; :meth:`sources` is what the model is asked with."""

    bases: list[BaseBackup] = field(default_factory=list)
    segments: list[StoredSegment] = field(default_factory=list)
    tails: list[TailPiece] = field(default_factory=list)
    histories: list[StoredHistory] = field(default_factory=list)

    def sources(self) -> RecoverySources:
        wal = StoredWal.collect(self.segments, system_id=CLUSTER, segment_bytes=SIZE, tails=self.tails)
        return RecoverySources(self.bases, wal, Histories.read(self.histories))

    def without(self, *numbers: int, timeline: int = 1) -> Cluster:
        gone = {segment(number, timeline).name for number in numbers}
        return replace(self, segments=[kept for kept in self.segments if kept.name not in gone])


def plain_cluster(segments: int = 10) -> Cluster:
    """One timeline, all WAL, base backups in segments 2 and 6."""
    return Cluster([base(2), base(6)], [stored(number) for number in range(segments)])


def promoted_cluster() -> Cluster:
    """Timeline 1 to 8.5, from where it went on alone to 10; timeline 2 from 8.5 to 12."""
    return Cluster(
        [base(2), base(6), base(10, timeline=2)],
        [
            *(stored(number) for number in range(10)),
            *(stored(number, 2, "00000000000000cc") for number in range(8, 12)),
        ],
        histories=[history(2, (1, 8.5))],
    )
