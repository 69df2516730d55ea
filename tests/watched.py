"""What a watch sees of a target with which all is well; tests spoil parts of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level
from backstop.model.observation import (
    AccuracySeen,
    BackupSeen,
    ComponentSeen,
    DrilledSeen,
    DrillSeen,
    ForecastSeen,
    KeySeen,
    Observation,
    RepositorySeen,
    SlotSeen,
    WalSeen,
    WindowSeen,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=timezone.utc)
KEY = "backstop-local/0123456789abcdef"
DAY = timedelta(days=1)


def backup(kind: str, *, finished_at: datetime) -> BackupSeen:
    """In both repositories, proven in one."""
    started_at = finished_at - timedelta(minutes=7)
    label = f"{started_at:%Y%m%dT%H%M%SZ}-{kind}"
    return BackupSeen(
        label, started_at, finished_at, 420.0, 40_000_000, 90_000_000, ("local", "s3"), proven_in=("local",)
    )


def component(kind: str, *, now: datetime = NOW) -> ComponentSeen:
    """Made six hours ago, proven an hour later, due again in eighteen."""
    newest = backup(kind.partition(":")[0], finished_at=now - timedelta(hours=6))
    return ComponentSeen(
        kind,
        newest=newest,
        proven=newest,
        proven_at=now - timedelta(hours=5),
        schedule="0 6 * * *",
        due_at=now - timedelta(hours=6),
        next_due_at=now + timedelta(hours=18),
        loss=timedelta(seconds=2) if kind == "base" else timedelta(hours=6, minutes=7),
        rpo=timedelta(minutes=5) if kind == "base" else timedelta(hours=26),
        rto=timedelta(hours=1),
        forecast=ForecastSeen(900, 700, 1300, 12),
        backups=30,
        proven_backups=29,
        accuracy=AccuracySeen(20, 17, 0.11, 96.0, now - timedelta(hours=5)),
    )


def well(
    target: str = "calibrify", *, now: datetime = NOW, kinds: Sequence[str] = ("dump", "base")
) -> Observation:
    """Nothing to find fault with, and nothing unknown."""
    return Observation(
        target,
        now,
        took_seconds=1.5,
        components=tuple(component(kind, now=now) for kind in kinds),
        repositories=(
            RepositorySeen(
                "local", "/var/backups", True, True, "", 10**9, 60, 0, 5 * 10**11, 10**12, answer_seconds=0.01
            ),
            RepositorySeen("s3", "s3://backups/backstop", True, True, "", 10**9, 60, answer_seconds=0.04),
        ),
        windows=(
            WindowSeen("local", 1, now - 30 * DAY, now, "1/28", "5/3000060", newest=True),
            WindowSeen(
                "s3", 1, now - 60 * DAY, now - 40 * DAY, "0/28", "1/28", ends_because="missing", gap=True
            ),
            WindowSeen("s3", 1, now - 30 * DAY, now, "1/28", "5/3000060", newest=True),
        ),
        wal=WalSeen(
            1,
            "5/3000060",
            {"local": timedelta(seconds=1), "s3": timedelta(seconds=2)},
            {"local": 0, "s3": 4096},
            SlotSeen(f"backstop_{target}", "active", 10**7, 10**10),
        ),
        keys=(KeySeen(KEY, "usable", now - 40 * DAY, now + 50 * DAY, 60),),
        clock_offsets={"database": -0.25},
        scratch_bytes=0,
        drill=DrillSeen(
            "drill-20261120T060000Z-1f3a",
            "all",
            ended_at=now - 6 * DAY,
            passed=True,
            objectives_met=True,
            accepted=True,
            last_passed_at=now - 6 * DAY,
            components=tuple(
                DrilledSeen(kind, timedelta(minutes=18), timedelta(seconds=2), True, True) for kind in kinds
            ),
        ),
    )


def finding(check: str, subject: str, level: Level = Level.CRITICAL, *, target: str = "calibrify") -> Finding:
    """Open, in words that nobody reads here."""
    return Finding(target, check, subject, level, "something is wrong", "mend it")
