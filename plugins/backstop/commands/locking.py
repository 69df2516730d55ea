"""Keeps locks as long as what they protect is kept: of held backups, and of those beyond their time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.repository.locks import BackupLocks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Repository


def lock_held(repository: Repository, label: BackupLabel, *, until: datetime | None, now: datetime) -> None:
    """Lock a backup as long as its hold lasts. :param until: None: until somebody releases it.

    :raises StorageError: something cannot be locked; the hold itself is in force.
    """
    rule = repository.storage.lock_rule
    if rule is not None:
        BackupLocks(repository.storage, repository.catalog).extend(label, rule.held(until, now=now))


def renew_locks(
    repository: Repository, kept: Iterable[BackupLabel], *, now: datetime
) -> tuple[list[BackupLabel], dict[BackupLabel, BackstopError]]:
    """Lock on what retention keeps at this moment and whose lock is missing, or ends.

    Where nothing is due, that is a look at each manifest and no more.

    :returns: those that were locked on, and of those that could not be, why. Raises nothing of a storage.
    """
    rule = repository.storage.lock_rule
    renewed: list[BackupLabel] = []
    failed: dict[BackupLabel, BackstopError] = {}
    if rule is None:
        return renewed, failed
    locks = BackupLocks(repository.storage, repository.catalog)
    for label in kept:
        try:
            lock = locks.of(label)
            if lock is not None and lock.until is None:
                continue  # a legal hold: longer than anything
            until = rule.renewed(
                repository.catalog.target, label, locked_until=lock.until if lock else None, now=now
            )
            if until is not None:
                finished_at = repository.catalog.backup(label).manifest.finished_at
                promised = rule.promised(repository.catalog.target, label, finished_at, now=now)
                locks.extend(label, max(until, promised or until))
                renewed.append(label)
        except BackstopError as error:
            failed[label] = error
    return renewed, failed
