"""Retention, asked with everything that a repository adds to the rules: readers, holds, locks, order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.model.retention import RetentionPlan, apply_retention
from backstop.repository.acceptances import Acceptances

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from backstop.commands.expiry.settings import ExpirySettings
    from backstop.model.backup import BackupLabel
    from backstop.model.retention import Candidate, WalSeen
    from backstop.repository.catalog import Repository
    from backstop.storage.base import ObjectLock


def decide(
    candidates: Mapping[BackupLabel, Candidate],
    *,
    repository: Repository,
    settings: ExpirySettings,
    seen: Mapping[str, WalSeen],
    now: datetime,
) -> tuple[RetentionPlan, dict[BackupLabel, ObjectLock]]:
    """What stays and what goes, and of what would go, but for its lock, that lock.

    :raises ConfigurationError: ``now`` cannot be the present.
    """
    locks: dict[BackupLabel, ObjectLock] = {}
    asked: set[BackupLabel] = set()
    held = dict(candidates)
    accepted = settings.accepted | Acceptances(repository).labels()
    while True:
        plan = apply_retention(
            held.values(), policies=settings.policies, now=now, accepted=accepted, seen=seen
        )
        # Only of what would go: a look costs a request. What a lock keeps lets nothing else go.
        new = {
            label: lock for label in plan.expired if label not in asked and (lock := _lock(repository, label))
        }
        asked.update(plan.expired)
        if not new:
            return plan, locks
        locks |= new
        for label, lock in new.items():
            reasons = (*held[label].kept_because, f"the storage has locked it {in_words(lock)}")
            held[label] = replace(held[label], kept_because=reasons)


def _lock(repository: Repository, label: BackupLabel) -> ObjectLock | None:
    return repository.storage.lock(repository.catalog.manifest_key(label))


def in_words(lock: ObjectLock) -> str:
    """``until 2027-01-31 00:00Z``."""
    return f"until {lock.until:%Y-%m-%d %H:%MZ}" if lock.until else "until its legal hold is lifted"


def removal_order(
    labels: Iterable[BackupLabel], candidates: Mapping[BackupLabel, Candidate]
) -> tuple[BackupLabel, ...]:
    """Group by group, oldest first, but what needs another backup before that one.

    So at every moment everything that is published has all it needs.
    """
    doomed = sorted(labels, key=lambda label: (label.lease_kind, candidates[label].finished_at, label))
    needing: dict[BackupLabel, list[BackupLabel]] = {}
    for label in doomed:
        for needed in candidates[label].needs:
            needing.setdefault(needed, []).append(label)
    order: dict[BackupLabel, None] = {}
    for label in doomed:
        # The whole chain is in `needs`, so who needs most is the last of it.
        for dependent in sorted(needing.get(label, ()), key=lambda one: -len(candidates[one].needs)):
            order.setdefault(dependent)
        order.setdefault(label)
    return tuple(order)
