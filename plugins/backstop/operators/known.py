"""The backups that a form can offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, NotFoundError
from backstop.model.figures import in_short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from backstop.repository.catalog import Repository

MAX_OFFERED = 200
PROVEN, UNPROVEN, FAILED = _TRUST = ("proven", "not proven yet", "FAILED its proof")


@dataclass(frozen=True, slots=True)
class KnownBackup:
    """One backup, over all repositories that hold it.

    :param proofs: by repository in the target's order: PROVEN, UNPROVEN or FAILED.
    """

    label: str
    snapshot_at: datetime
    plain_bytes: int
    proofs: dict[str, str]

    def describe(self, now: datetime) -> str:
        """One line for a drop-down: when, how long ago, how big, how sure."""
        where = "; ".join(f"{name}: {state}" for name, state in self.proofs.items())
        return (
            f"{self.snapshot_at:%Y-%m-%d %H:%M} UTC, {in_short(now - self.snapshot_at)} ago, "
            f"{self.plain_bytes / 1e6:,.1f} MB — {where}"
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What can be restored, newest first, and what could not be read on the way."""

    backups: tuple[KnownBackup, ...]
    problems: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        return [backup.label for backup in self.backups]


def known_backups(repositories: Sequence[Repository]) -> Known:
    """Every backup in every repository that answers.

    :raises BackstopError: no repository could be read; one that could is enough.
    :raises NotFoundError: there is no backup.
    """
    from backstop.repository.catalog import is_proven

    found: dict[str, KnownBackup] = {}
    failures: list[BackstopError] = []
    problems: list[str] = []
    for repository in repositories:
        try:
            listing = repository.catalog.backups()
            for published in listing.dumps:
                manifest = published.manifest
                proofs = repository.catalog.proofs(published)
                state = PROVEN if is_proven(proofs) else FAILED if proofs else UNPROVEN
                known = found.setdefault(
                    manifest.label.text,
                    KnownBackup(manifest.label.text, manifest.snapshot_at, manifest.plain_bytes, {}),
                )
                known.proofs[repository.name] = state
        except BackstopError as error:
            failures.append(error)
            problems.append(f"repository {repository.name}: {error.message}")
            continue
        problems += [f"repository {repository.name}: {error.message}" for error in listing.unreadable]
    if not found and failures:
        raise failures[0]
    if not found:
        raise NotFoundError(
            "there is no backup to restore in " + ", ".join(name.location for name in repositories),
            hint="take one, or look at the repositories that targets.yaml names",
        )
    return Known(tuple(newest_first(found.values())), tuple(problems))


def newest_first(backups: Iterable[KnownBackup]) -> list[KnownBackup]:
    return sorted(backups, key=lambda backup: backup.snapshot_at, reverse=True)


def first_holder(repositories: Sequence[Repository], label: str) -> str:
    """The repository to read a backup from: the first, in the target's order, where it is proven, else held.

    :raises NotFoundError: no repository that can be read has it.
    """
    for backup in known_backups(repositories).backups:
        if backup.label == label:
            return min(backup.proofs, key=lambda name: _TRUST.index(backup.proofs[name]))
    raise NotFoundError(f"no repository holds backup {label}", hint="choose one of those that are listed")
