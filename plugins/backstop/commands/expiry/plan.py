"""What would be removed from one repository, and why: said before anything is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.commands.expiry.decide import decide, in_words, removal_order
from backstop.commands.expiry.survey import Survey, survey
from backstop.commands.expiry.wal import UnneededWal, WalTally, wal_seen
from backstop.errors import IntegrityError, NotFoundError
from backstop.model.canonical import format_time
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from backstop.commands.expiry.settings import ExpirySettings
    from backstop.model.backup import BackupLabel
    from backstop.model.retention import Candidate, RetentionPlan
    from backstop.repository.catalog import Published, Repository
    from backstop.storage.base import ObjectLock

MOST_SHOWN = 200
"""Backups in :meth:`ExpiryPlan.to_dict`; what goes comes first."""


@dataclass(frozen=True, slots=True)
class DoomedObject:
    """An object that no backup needs once its backup has gone."""

    key: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class DoomedBackup:
    """One backup that goes.

    :param objects: that go with it; what others need too goes with the last of them.
    """

    label: BackupLabel
    manifest_sha256: str
    reasons: tuple[str, ...]
    objects: tuple[DoomedObject, ...]

    @property
    def freed_bytes(self) -> int:
        return sum(one.stored_bytes for one in self.objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryPlan:
    """What :func:`~backstop.commands.expiry.carry_out.carry_out` may remove, and nothing else.

    :param doomed: in the order of removal.
    :param locked: backups that stay because of their lock alone.
    :param wal: what goes of it, as of now.
    :param begun: backups that an earlier run began to remove and did not finish.
    :param most_wal: no more WAL objects than this may go; None: as many as nothing needs.
    """

    target: str
    repository: str
    made_at: datetime
    settings: ExpirySettings = field(repr=False)
    found: Survey = field(repr=False)
    retention: RetentionPlan = field(repr=False)
    doomed: tuple[DoomedBackup, ...]
    locked: dict[BackupLabel, ObjectLock]
    wal: WalTally
    begun: tuple[BackupLabel, ...]
    most_wal: int | None = None

    @property
    def labels(self) -> tuple[BackupLabel, ...]:
        """What goes, in the order of removal."""
        return tuple(one.label for one in self.doomed)

    @property
    def stays(self) -> tuple[BackupLabel, ...]:
        """What is kept, but for what is kept by its lock alone: that is not to stay for ever."""
        return tuple(
            one.label for one in self.retention.decisions if one.keep and one.label not in self.locked
        )

    @property
    def candidates(self) -> dict[BackupLabel, Candidate]:
        return self.found.candidates

    @property
    def freed_bytes(self) -> int:
        """Of backups and WAL; in a versioned bucket, older versions come on top."""
        return sum(one.freed_bytes for one in self.doomed) + self.wal.stored_bytes

    @property
    def share_of_backups(self) -> float:
        """That goes, of the kind (dumps, base backups, each tree) that loses most."""
        kinds = Counter(label.lease_kind for label in self.candidates)
        return _largest(Counter(label.lease_kind for label in self.labels), kinds)

    @property
    def share_of_bytes(self) -> float:
        """That goes of what the backups of a kind store, of the kind that loses most; without WAL."""
        freed: Counter[str] = Counter()
        for one in self.doomed:
            freed[one.label.lease_kind] += one.freed_bytes
        return _largest(freed, self.found.references.stored_bytes)

    @property
    def blocked(self) -> tuple[str, ...]:
        """Sentences for people: why something stays although its age would let it go."""
        closed = [f"{group}: nothing goes, because {why}" for group, why in self.found.closed.items()]
        return (*self.retention.blocked, *closed)

    def only(self, labels: Collection[BackupLabel], *, most_wal: int | None = None) -> ExpiryPlan:
        """The same with no more than these backups, and WAL objects, such as somebody approved."""
        doomed = tuple(one for one in self.doomed if one.label in labels)
        return replace(self, doomed=doomed, most_wal=most_wal)

    def to_dict(self) -> dict[str, Any]:
        """For tables and XCom: bounded, but for the labels that go, of which each is there."""
        shown = sorted(self.retention.decisions, key=lambda one: one.keep)[:MOST_SHOWN]
        return {
            "repository": self.repository,
            "target": self.target,
            "made_at": format_time(self.made_at),
            "backups": [self._row(one.label, one.keep, one.reasons) for one in shown],
            "total": len(self.candidates),
            "expires": [label.text for label in self.labels],
            "freed_bytes": self.freed_bytes,
            "share_of_backups": self.share_of_backups,
            "share_of_bytes": self.share_of_bytes,
            "wal_objects": self.wal.objects,
            "wal_bytes": self.wal.stored_bytes,
            "locked": [
                {"label": label.text, "until": in_words(lock)}
                for label, lock in list(self.locked.items())[:MOST_SHOWN]
            ],
            "blocked": list(self.blocked),
            "unreadable": [str(error) for error in self.found.unreadable[:MOST_SHOWN]],
            "begun": [label.text for label in self.begun],
        }

    def _row(self, label: BackupLabel, keep: bool, reasons: Iterable[str]) -> dict[str, Any]:
        candidate = self.candidates[label]
        return {
            "label": label.text,
            "kind": label.kind.value,
            "finished_at": format_time(candidate.finished_at),
            "proven": candidate.proven,
            "keep": keep,
            "reasons": list(reasons),
            "stored_bytes": candidate.stored_bytes,
        }


def _largest(parts: Mapping[str, int], wholes: Mapping[str, int]) -> float:
    """Kinds must not dilute each other: one that loses nearly all may stand beside many that lose nothing."""
    return max((part / wholes[kind] for kind, part in parts.items() if wholes.get(kind)), default=0.0)


def plan_expiry(repository: Repository, *, settings: ExpirySettings, now: datetime) -> ExpiryPlan:
    """Read the repository and decide; nothing is changed.

    :raises ConfigurationError: ``now`` cannot be the present.
    :raises StorageError: the repository cannot be asked; :raises IntegrityError: a hold names no backup.
    """
    found = survey(repository, now=now)
    seen = wal_seen(repository) if any(label.kind.physical for label in found.candidates) else {}
    retention, locked = decide(found.candidates, repository=repository, settings=settings, seen=seen, now=now)
    return ExpiryPlan(
        target=repository.catalog.target,
        repository=repository.name,
        made_at=now,
        settings=settings,
        found=found,
        retention=retention,
        doomed=_doomed(repository, found, retention),
        locked=locked,
        wal=_wal(repository, found, retention),
        begun=tuple(one.label for one in ExpiringMarks(repository).all()),
    )


def _doomed(repository: Repository, found: Survey, retention: RetentionPlan) -> tuple[DoomedBackup, ...]:
    reasons = {one.label: one.reasons for one in retention.decisions}
    doomed = []

    def look(label: BackupLabel) -> Published | None:
        try:
            return repository.catalog.same(label, found.sha256[label])
        except (NotFoundError, IntegrityError):
            return None  # gone or changed since; the next plan sees how it is then

    order = removal_order(retention.expired, found.candidates)
    for published in read_ahead(order, look, name="doomed"):
        if published is None:
            continue
        label = published.manifest.label
        found.references.drop(label)
        objects = tuple(
            DoomedObject(stored.key, stored.stored_bytes)
            for stored in published.manifest.objects
            if not found.references.needed(stored.key)
        )
        doomed.append(DoomedBackup(label, published.sha256, reasons[label], objects))
    return tuple(doomed)


def _wal(repository: Repository, found: Survey, retention: RetentionPlan) -> WalTally:
    tally = WalTally()
    if found.why_closed("base") is None:
        unneeded = UnneededWal(repository, (retention,), found.segment_bytes)
        for _, version in unneeded.versions():
            tally.add(version.size_bytes)
    return tally
