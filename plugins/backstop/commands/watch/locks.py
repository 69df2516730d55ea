"""Proven backups that somebody could delete although they are to be kept: no lock, or one that ends early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.part import EVERY, Part
from backstop.commands.watch.wording import in_words, named
from backstop.errors import StorageError
from backstop.model.finding import Finding, Level
from backstop.repository.locks import BackupLocks
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight
    from backstop.model.backup import BackupLabel
    from backstop.model.object_lock import LockRule
    from backstop.repository.recollection import KnownBackup

_NEWEST = 3


def look_at_locks(sight: Sight) -> Part:
    """Of each kind the newest proven ones and the oldest: a lock is never shortened, so drift begins there.

    Nothing where targets.yaml asks for no lock.
    """
    findings: list[Finding] = []
    unjudged = {("lock", EVERY)} if sight.down else set()
    for shelf in sight.shelves.values():
        if shelf.repository.storage.lock_rule is not None:
            try:
                findings += _judge(sight, shelf)
            except StorageError:
                unjudged.add(("lock", EVERY))
    return Part(findings=tuple(findings), unjudged=frozenset(unjudged))


def _judge(sight: Sight, shelf: Shelf) -> Iterator[Finding]:
    kinds: dict[str, list[KnownBackup]] = {}
    for known in sorted(shelf.backups.values(), key=lambda one: one.manifest.finished_at):
        if any(proof.matched for proof in known.proofs):
            kinds.setdefault(known.label.component, []).append(known)
    locks = BackupLocks(shelf.repository.storage, shelf.repository.catalog)
    for kind, proven in kinds.items():
        asked = proven[:1] + [one for one in proven[-_NEWEST:] if one is not proven[0]]
        found = list(read_ahead([one.label for one in asked], locks.of, name="lock"))
        short = [
            one.label
            for one, lock in zip(asked, found, strict=True)
            if (lock is None or lock.until is not None)
            and _ends_early(shelf, one, lock.until if lock else None, now=sight.now)
        ]
        if short:
            yield _finding(sight, shelf, kind, short)


def _ends_early(shelf: Shelf, known: KnownBackup, until: datetime | None, *, now: datetime) -> bool:
    rule = shelf.repository.storage.lock_rule
    if rule is None:
        return False
    needed = _needed_until(rule, shelf, known, now=now)
    return needed is not None and (until is None or until < needed)


def _needed_until(rule: LockRule, shelf: Shelf, known: KnownBackup, *, now: datetime) -> datetime | None:
    """None: its time is over; what retention keeps longer is locked on by the next expiry."""
    target = shelf.repository.catalog.target
    if rule.kept(target, known.label) is None:
        return now
    return rule.promised(target, known.label, known.manifest.finished_at, now=now)


def _finding(sight: Sight, shelf: Shelf, kind: str, labels: list[BackupLabel]) -> Finding:
    target, name = sight.target.name, shelf.name
    return Finding(
        target,
        "lock",
        f"{kind} in {name}",
        Level.WARNING,
        f"{in_words(kind)}: the lock of {named(labels)} in {name} is missing or ends before retention does",
        f"`python -m backstop expire --target {target} --repository {name}` locks on what stays; if that "
        "says nothing, see whether this role may look at locks (s3:GetObjectRetention)",
    )
