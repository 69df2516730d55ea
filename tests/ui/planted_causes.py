"""The cause of every alert, each planted in a target of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.finding import Level
from backstop.model.observation import ComponentSeen, ForecastSeen, Observation
from tests.watched import DAY, finding, well

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backstop.model.finding import Finding


@dataclass(frozen=True)
class Cause:
    """:param alerts: that it lets fire, and no others; :param look: None: nobody has looked."""

    target: str
    alerts: frozenset[str]
    look: Observation | None
    findings: tuple[Finding, ...] = ()


def planted(now: datetime) -> tuple[Cause, ...]:
    """One for every alert about a target."""
    looks = {name: (alerts, spoil(well(name, now=now))) for name, (alerts, spoil) in _SPOILT.items()}
    return (
        Cause("never-watched", frozenset({"TargetNotWatched"}), None),
        *(Cause(name, frozenset(alerts.split()), look) for name, (alerts, look) in looks.items()),
        *(
            Cause(name, frozenset(alerts.split()), well(name, now=now), (finding(*found, target=name),))
            for name, (alerts, found) in _FOUND.items()
        ),
    )


_FOUND: dict[str, tuple[str, Any]] = {
    "failed": ("BackupFailed ProcedureFailed", ("run", "back_up_database__failed")),
    "proof-failed": ("ProofFailed", ("proven", "failed dump in s3")),
    "proof-overdue": ("ProofOverdue", ("proven", "dump in s3", Level.WARNING)),
    "size": ("BackupSizeAnomaly", ("size", "dump", Level.WARNING)),
    "sync": ("RepositoriesDiffer", ("sync", "backups in s3", Level.WARNING)),
    "dropped": ("RpoFinding", ("rpo", "archiver")),
    "gap": ("WalGap", ("wal-gap", "WAL in s3")),
    "ring": ("KeyFinding", ("key", "key ring")),
    "spool": ("SpaceFinding", ("space", "spool /var/spool/backstop")),
    "source": ("SourceUnreachable", ("source", "database")),
    "drill-overdue": ("DrillFinding", ("drill", "overdue", Level.WARNING)),
    "evidence": ("EvidenceLost", ("evidence", "evidence in s3")),
    "lock": ("LockMissing", ("lock", "dump in s3", Level.WARNING)),
    "left-behind": ("UndescribedBackups", ("undescribed", "repository s3", Level.WARNING)),
    "disabled": ("TargetDisabled", ("configuration", "disabled.yaml")),
    "deployment": (
        "AnotherDeployment",
        ("deployment", "https://airflow.example.org in s3", Level.WARNING),
    ),
    "tampering": ("DocumentsTampered", ("tampering", "overwritten in s3")),
}


def _components(**changes: Any) -> Callable[[Observation], Observation]:
    return lambda one: replace(one, components=tuple(replace(each, **changes) for each in one.components))


def _stopped(one: Observation) -> Observation:
    return replace(one, observed_at=one.observed_at - timedelta(minutes=40))


def _overdue(one: Observation) -> Observation:
    newest = one.components[0].newest
    assert newest is not None
    return _components(newest=replace(newest, finished_at=one.observed_at - 3 * DAY))(one)


def _never_backed_up(one: Observation) -> Observation:
    return replace(one, components=(ComponentSeen("dump"),))


def _behind(one: Observation) -> Observation:
    assert one.wal is not None
    loss = {"local": timedelta(seconds=1), "s3": timedelta(minutes=15)}
    return replace(one, wal=replace(one.wal, observed_rpo=loss))


def _unproven(one: Observation) -> Observation:
    newest = one.components[0].newest
    assert newest is not None
    return _components(proven_at=one.observed_at - 9 * DAY, newest=replace(newest, proven_in=()))(one)


def _slot(**changes: Any) -> Callable[[Observation], Observation]:
    def spoil(one: Observation) -> Observation:
        assert one.wal is not None
        assert one.wal.slot is not None
        return replace(one, wal=replace(one.wal, slot=replace(one.wal.slot, **changes)))

    return spoil


def _key(**changes: Any) -> Callable[[Observation], Observation]:
    return lambda one: replace(one, keys=tuple(replace(each, **changes) for each in one.keys))


def _key_too_old(one: Observation) -> Observation:
    return _key(rotation_due_at=one.observed_at - DAY)(one)


def _repositories(*names: str, **changes: Any) -> Callable[[Observation], Observation]:
    return lambda one: replace(
        one,
        repositories=tuple(
            replace(each, **changes) if each.name in names else each for each in one.repositories
        ),
    )


def _drill_failed(one: Observation) -> Observation:
    assert one.drill is not None
    return replace(one, drill=replace(one.drill, passed=False))


def _with(**changes: Any) -> Callable[[Observation], Observation]:
    return lambda one: replace(one, **changes)


_GONE = {"reachable": False, "writable": None, "problem": "connection refused"}
_SPOILT: dict[str, tuple[str, Callable[[Observation], Observation]]] = {
    "stopped": ("WatchStopped BackupFailed", _stopped),
    "late": ("BackupFailed", _components(on_time=False)),
    "overdue": ("BackupOverdue", _overdue),
    "never-backed-up": ("NoBackup", _never_backed_up),
    "unproven": ("NothingProvenLately", _unproven),
    "losing": ("RpoExceeded", _components(loss=timedelta(days=2))),
    "behind": ("RepositoryBehind", _behind),
    "slot-filling": ("SlotFilling", _slot(retained_bytes=6 * 10**9)),
    "slot-full": ("SlotFilling SlotNearlyFull", _slot(retained_bytes=8 * 10**9)),
    "slot-unbounded": ("SlotUnbounded", _slot(limit_bytes=None)),
    "slot-lost": ("SlotLost", _slot(state="lost")),
    "slot-idle": ("SlotInactive", _slot(state="inactive")),
    "slow": ("RestoreTooSlow RestoreMayBeTooSlow", _components(forecast=ForecastSeen(7200, 6000, 9000, 9))),
    "slowing": ("RestoreMayBeTooSlow", _components(forecast=ForecastSeen(3000, 2000, 4000, 9))),
    "key-dying": ("KeyUnusable", _key(state="pending deletion")),
    "key-unknown": ("KeyUnknown", _key(state="unknown")),
    "key-old": ("KeyRotationOverdue", _key_too_old),
    "s3-down": ("RepositoryDown", _repositories("s3", **_GONE)),
    "all-down": ("RepositoryDown EveryRepositoryDown", _repositories("local", "s3", **_GONE)),
    "read-only": ("RepositoryReadOnly", _repositories("local", writable=False)),
    "little-space": ("LittleSpace", _repositories("local", free_bytes=8 * 10**10)),
    "no-space": ("LittleSpace HardlyAnySpace", _repositories("local", free_bytes=4 * 10**10)),
    "scratch": ("ScratchLeftOver", _with(scratch_bytes=10**9)),
    "clock": ("ClockSkew", _with(clock_offsets={"database": -90.0})),
    "drill-failed": ("DrillFailed", _drill_failed),
    "half-seen": ("WatchIncomplete", _with(unseen=("the slot: connection refused",))),
}
