"""What retention is told: the rules of a repository, and what it has to know of each backup."""

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

    :param keep_for: everything needed to go back so far: all backups of that time, and the newest usable one
        from before it (of base backups, that makes it the recovery window).
    :param keep_last: so many newest ones.
    :param daily: of each of so many days (UTC) that have one, the newest, a proven one before others;
        ``weekly`` (from Monday), ``monthly`` and ``yearly`` in the same way.
    :param min_proven: the newest so many proven ones always stay; the newest of them even when it is 0.
    :param without_rules: why nothing goes, in words, where there is no rule.
    """

    keep_for: timedelta | None = None
    keep_last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    min_proven: int = 3
    without_rules: str = "no retention is set for it in this repository"

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
    :param needs: backups that a restore of this one reads, and that must stay whole for it.
    :param content: how much it holds, for noticing a drop: rows of a dump, files of a tree; None: unknown.
    :param timeline: ``start`` and ``end`` too: of a base backup only.
    :param kept_because: reasons from outside, in words: a hold, an object lock, a reader.
    :param read_now: a recovery reads it at this moment: WAL behind it stays, too.
    :param proven_whole: False: what proves it restored a share of it only.
    :param replaces: the backup of which it holds all content, encrypted anew; found to be so, not just said.
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
    read_now: bool = False
    proven_whole: bool = True
    replaces: BackupLabel | None = None


@dataclass(frozen=True, slots=True)
class WalSeen:
    """What names tell of one cluster's WAL in the repository.

    :param timeline: the newest one that has a segment or a history file.
    :param stored_at: when the newest of it came. In one repository a copy made later makes this later, which
        keeps more; a sync, which sees them all, goes by the first.
    """

    timeline: int
    stored_at: datetime
