"""Which backups of a target one repository still keeps, and why. Pure: it deletes nothing.

What may go is decided from manifests and signed proofs alone, never from names, upload dates or listings.
Every decision has its reasons in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from backstop.model.backup import BackupLabel
    from backstop.model.lsn import Lsn


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What one repository keeps of one kind of backup. Without any rule it keeps everything.

    A backup stays as long as *any* rule wants it, so a further rule never deletes more.

    :param keep_for: every backup whose data is needed to go back so far; for base backups the recovery
        window: the newest one from before it stays, too.
    :param keep_last: so many newest ones.
    :param daily: of each of so many days (UTC) that have one, the newest; ``weekly`` (from Monday),
        ``monthly`` and ``yearly`` in the same way.
    :param min_proven: the newest so many proven ones always stay.
    """

    keep_for: timedelta | None = None
    keep_last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    min_proven: int = 3

    @property
    def keeps_everything(self) -> bool:
        """Whether no rule was given."""
        return self.keep_for is None and not any(
            (self.keep_last, self.daily, self.weekly, self.monthly, self.yearly)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the decision needs to know of one backup in one repository.

    :param finished_at: orders backups; :param snapshot_at: the moment whose data it holds.
    :param proven: by a signed proof of exactly this copy in this repository.
    :param needs: backups that a restore of this one reads: its parents, those whose packs it lists.
    :param content: how much it holds, for noticing a drop: rows of a dump, files of a tree; None: unknown.
    :param timeline: ``start`` and ``end`` too: of a base backup only.
    :param kept_because: reasons from outside, in words: a hold, an object lock, a reader.
    """

    label: BackupLabel
    system_id: str
    finished_at: datetime
    snapshot_at: datetime
    stored_bytes: int
    proven: bool
    needs: tuple[BackupLabel, ...] = ()
    content: int | None = None
    timeline: int | None = None
    start: Lsn | None = None
    end: Lsn | None = None
    kept_because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """About one backup: whether it stays, and every reason, in words that name their rule."""

    label: BackupLabel
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WalRange:
    """WAL of one cluster that must stay, in words why.

    :param timeline: this one and every later one of the cluster.
    :param start: from the segment that holds it; :param end: up to there; None: up to now.
    """

    system_id: str
    timeline: int
    start: Lsn
    end: Lsn | None
    reason: str


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What becomes of every backup of a target in one repository.

    :param decisions: oldest first; one a backup.
    :param wal: what stays of the WAL; segments and pieces outside of all of them may go. None: all stays.
    :param blocked: sentences that say why nothing of a kind expires now, although its age would allow it.
    """

    decisions: tuple[Decision, ...]
    wal: tuple[WalRange, ...] | None
    blocked: tuple[str, ...]

    @property
    def expired(self) -> tuple[BackupLabel, ...]:
        """What may go."""
        return tuple(decision.label for decision in self.decisions if not decision.keep)
