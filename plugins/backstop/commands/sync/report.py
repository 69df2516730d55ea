"""What a sync did, and what is still missing where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.errors import BackstopError

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Lacking:
    """Something that a repository should have and has not, and why.

    :param what: a label, the name of a WAL segment, in words.
    """

    what: str
    why: str
    retryable: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def shortened(entries: list[Lacking], what: str) -> list[Lacking]:
    """Of many of a kind the first, and how many more: they are read by people."""
    rest = entries[_MOST_SHOWN:]
    if not rest:
        return entries
    why = f"{len(rest)} more, such as {rest[0]}"
    return [*entries[:_MOST_SHOWN], Lacking(what, why, retryable=all(one.retryable for one in rest))]


@dataclass(slots=True)
class RepositorySync:
    """What one repository got.

    :param copied: labels published now (or, of a dry run, that would be), in that order.
    :param objects: how many were copied, WAL not counted; :param stored_bytes: of them and of the WAL.
    :param recognised: objects that an interrupted run, or the backup itself, had left there already.
    :param holds: documents about holds that were missing.
    :param unwanted: how many backups of other repositories this one would not keep.
    :param error: what ended the work on this repository; the others' went on.
    """

    name: str
    copied: list[str] = field(default_factory=list)
    objects: int = 0
    stored_bytes: int = 0
    recognised: int = 0
    wal_objects: int = 0
    holds: int = 0
    unwanted: int = 0
    lacking: list[Lacking] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: BackstopError | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether it has everything that it should have and some repository could give."""
        return not self.lacking and self.error is None

    @property
    def bytes_per_second(self) -> float:
        return self.stored_bytes / self.seconds if self.seconds > 0 else 0.0

    def lacks(self, what: object, error: BackstopError | str) -> None:
        """Say what stays missing, once."""
        why = error if isinstance(error, str) else str(error)
        entry = Lacking(str(what), why, retryable=not isinstance(error, str) and error.retryable)
        if entry not in self.lacking:
            self.lacking.append(entry)

    def to_dict(self) -> dict[str, Any]:
        return {
            "repository": self.name,
            "complete": self.complete,
            "copied": len(self.copied),
            "labels": _first(self.copied),
            "objects": self.objects,
            "recognised": self.recognised,
            "wal_objects": self.wal_objects,
            "holds": self.holds,
            "stored_bytes": self.stored_bytes,
            "bytes_per_second": round(self.bytes_per_second),
            "seconds": round(self.seconds, 3),
            "unwanted": self.unwanted,
            "lacking": len(self.lacking),
            "lacks": _first([str(one) for one in self.lacking]),
            "notes": _first(self.notes),
            "error": str(self.error) if self.error else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What became of all repositories of a target.

    :param repositories: those that were to be brought up to date.
    :param notes: sentences about the sources: what is damaged, who did not answer.
    """

    target: str
    dry_run: bool
    started_at: datetime
    finished_at: datetime
    repositories: tuple[RepositorySync, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all of them have everything they should have."""
        return all(one.complete for one in self.repositories)

    @property
    def retryable(self) -> bool:
        """Whether time alone may heal everything that is missing."""
        errors = [one.error for one in self.repositories if one.error is not None]
        lacking = [entry for one in self.repositories for entry in one.lacking]
        return all(error.retryable for error in errors) and all(entry.retryable for entry in lacking)

    def sentences(self) -> list[str]:
        """Everything that is missing, by repository."""
        found = [f"{one.name}: {one.error}" for one in self.repositories if one.error is not None]
        return [*found, *(f"{one.name} lacks {entry}" for one in self.repositories for entry in one.lacking)]

    def to_dict(self) -> dict[str, Any]:
        """Of bounded size, whatever was copied."""
        return {
            "target": self.target,
            "dry_run": self.dry_run,
            "complete": self.complete,
            "started_at": format_time(self.started_at),
            "finished_at": format_time(self.finished_at),
            "seconds": round((self.finished_at - self.started_at).total_seconds(), 3),
            "repositories": [one.to_dict() for one in self.repositories],
            "notes": _first(list(self.notes)),
        }


def _first(sentences: list[str]) -> list[str]:
    rest = len(sentences) - _MOST_SHOWN
    return [*sentences[:_MOST_SHOWN], *([f"and {rest} more"] if rest > 0 else [])]
