"""Brings holds, and their releases, to where the backup they keep lies or is about to lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.repository.holds import Holds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.model.hold import Hold
    from backstop.repository.catalog import Repository


def held_anywhere(
    repositories: Sequence[Repository], *, now: datetime
) -> Mapping[BackupLabel, tuple[str, ...]]:
    """Holds that nobody has released in any of these repositories, in words, by label.

    :raises StorageError: one of them does not answer.
    :raises IntegrityError: a hold lies there on nothing that could be a backup.
    """
    return held_among([Holds(repository).all() for repository in repositories], now=now)


def held_among(
    found: Collection[Mapping[BackupLabel, Sequence[Hold]]], *, now: datetime
) -> Mapping[BackupLabel, tuple[str, ...]]:
    """The same of what has been read already.

    :param found: of each repository, every hold there has been.
    """
    released = {
        (label, hold.sha256)
        for holds in found
        for label, several in holds.items()
        for hold in several
        if hold.released_at is not None
    }
    held: dict[BackupLabel, dict[str, None]] = {}
    for holds in found:
        for label, several in holds.items():
            for hold in several:
                if hold.in_force(now) and (label, hold.sha256) not in released:
                    held.setdefault(label, {})[str(hold)] = None
    return {label: tuple(words) for label, words in held.items()}


def missing_holds(
    labels: Collection[BackupLabel], *, sources: Sequence[Repository], destination: Repository
) -> list[tuple[BackupLabel, bytes]]:
    """Documents, holds and releases alike, about these backups that the destination lacks.

    :raises StorageError: a repository does not answer.
    """
    ours = Holds(destination)
    missing: dict[tuple[BackupLabel, bytes], None] = {}
    for source in sources:
        theirs = Holds(source)
        for label in sorted(set(labels) & set(theirs.all())):
            have = ours.documents(label)
            missing.update(((label, body), None) for body in theirs.documents(label) if body not in have)
    return list(missing)


def copy_holds(missing: Sequence[tuple[BackupLabel, bytes]], destination: Repository) -> int:
    """Before the backups themselves: nothing that is held must be there unheld for a moment.

    :returns: how many documents there were. :raises StorageError: the destination fails.
    """
    ours = Holds(destination)
    return sum(ours.adopt(label, body) for label, body in missing)
