"""Backups as retention sees them, for tests: so many days old, one sentence a history."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.lsn import MEBIBYTE, Lsn
from backstop.model.retention import Candidate, RetentionPlan, RetentionPolicy, apply_retention

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=timezone.utc)  # a Thursday
OLD_CLUSTER, CLUSTER = "7300000000000000000", "7400000000000000000"


def days(count: float) -> timedelta:
    return timedelta(days=count)


def lsn_at(age: float) -> Lsn:
    """These clusters write a MiB a day, and their WAL began 10,000 days ago."""
    return Lsn(int((10_000 - age) * MEBIBYTE))


def dump(age: float, **known: Any) -> Candidate:
    """A proven dump so many days old, which took an hour."""
    return _candidate(age, BackupKind.DUMP, known)


def tree(age: float, name: str = "media", **known: Any) -> Candidate:
    return _candidate(age, BackupKind.TREE, known, tree=name)


def full(age: float, **known: Any) -> Candidate:
    """A proven full base backup that ended so many days ago."""
    return _base(age, BackupKind.FULL, known)


def incremental(age: float, parent: Candidate, **known: Any) -> Candidate:
    return _base(age, BackupKind.INCREMENTAL, {"needs": (parent.label,), **known})


def chain(*ages: float, **known: Any) -> list[Candidate]:
    """A full one and incremental ones, each on the one before."""
    made = [full(ages[0], **known)]
    for age in ages[1:]:
        made.append(incremental(age, made[-1], **known))
    return made


def _base(age: float, kind: BackupKind, known: dict[str, Any]) -> Candidate:
    ended = lsn_at(age)
    usual = {"timeline": 1, "start": ended - 1000, "end": ended, "snapshot_at": NOW - days(age)}
    return _candidate(age, kind, {**usual, **known})


def _candidate(age: float, kind: BackupKind, known: dict[str, Any], *, tree: str = "") -> Candidate:
    finished_at = NOW - days(age)
    usual = {
        "system_id": CLUSTER,
        "finished_at": finished_at,
        "snapshot_at": finished_at - timedelta(hours=1),
        "stored_bytes": 1000,
        "proven": True,
    }
    label = BackupLabel.at(finished_at - timedelta(hours=1), kind, tree=tree)
    return Candidate(label=label, **{**usual, **known})


def planned(
    backups: Iterable[Candidate], *, now: datetime = NOW, min_proven: int = 1, **rules: Any
) -> RetentionPlan:
    """What becomes of them under one policy for all kinds; `accepted` and `seen` may be among the rules."""
    also = {name: rules.pop(name) for name in ("accepted", "seen") if name in rules}
    policy = RetentionPolicy(min_proven=min_proven, **rules)
    return apply_retention(backups, policies=lambda _label: policy, now=now, **also)


def staying(plan: RetentionPlan) -> set[BackupLabel]:
    return {decision.label for decision in plan.decisions if decision.keep}


def labels(*backups: Candidate) -> set[BackupLabel]:
    return {backup.label for backup in backups}


def why(plan: RetentionPlan, backup: Candidate) -> str:
    """The sentence about one backup."""
    (found,) = (decision for decision in plan.decisions if decision.label == backup.label)
    return str(found)
