"""Until when an object is locked (S3 Object Lock): decided from its key, before a byte of it is sent.

A lock cannot be taken back (compliance), so none is asked for beyond what retention says: what is kept
longer after all, by a rule that counts backups, a hold, or for want of a newer proven one, is locked on when
its time comes (:meth:`LockRule.renewed`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal

from backstop.model.backup_label import BackupLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.retention_policy import RetentionPolicy

LockMode = Literal["governance", "compliance"]

ROLLING = timedelta(days=30)
"""How far ahead something is locked that nothing ever lets go, and that is locked on again and again."""
AHEAD = timedelta(days=7)
"""How far ahead something is locked on that is kept beyond its time."""
_LONGEST = timedelta(days=36_000)
"""S3 takes no lock beyond a hundred years. What is kept longer is locked on when its time comes."""
_LEAST_MARGIN = timedelta(days=1)
_LONGEST_BACKUP = timedelta(days=30)
_SOON = timedelta(minutes=5)

_OF_A_BACKUP = re.compile(
    r"(?:data/(?:database|trees/[^/]+)/|meta/(?:manifests|proofs|holds|accepted|reencrypted)/)"
    r"(?P<label>[^/]+?)(?:\.json|/.+)"
)
_OF_ALL = re.compile(r"(?:data/wal|meta/evidence|meta/incidents)/.+")


def least_kept(policy: RetentionPolicy) -> timedelta | None:
    """How long every backup stays under these rules, as far as that can be said when it is taken.

    Of rules that count, the one that speaks of the shortest time; of ``keep_last`` alone nothing can be said.

    :returns: None when it stays for ever.
    """
    if policy.keeps_everything:
        return None
    counted = (
        policy.daily * timedelta(days=1)
        or policy.weekly * timedelta(weeks=1)
        or policy.monthly * timedelta(days=31)
        or policy.yearly * timedelta(days=366)
    )
    return max(policy.keep_for or timedelta(0), counted)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRule:
    """What one repository locks.

    :param margin: longer than retention asks for: backups may take so long before it is noticed.
    :param kept: of a target and a label, how long such a backup stays; None: for ever.
    :param longest: of a target, how long anything of it stays; None: for ever. For WAL and evidence.
    """

    mode: LockMode
    margin: timedelta
    kept: Callable[[str, BackupLabel], timedelta | None]
    longest: Callable[[str], timedelta | None]

    def until(self, key: str, *, now: datetime) -> datetime | None:
        """None: what has this key is not locked: leases, pins and marks that go soon, and the growing end of
        WAL.

        All of a backup is locked until the same moment, whenever it is stored: that of its label, and what
        retention adds. A label in the future, such as one somebody has forged, makes it no longer.
        """
        target, _, rest = key.partition("/")
        if found := _OF_A_BACKUP.fullmatch(rest):
            if not BackupLabel.is_one(found["label"]):
                return None
            label = BackupLabel(found["label"])
            return self._ends(self.kept(target, label), min(began_at(label), now), now)
        if _OF_ALL.fullmatch(rest):
            return self._ends(self.longest(target), now, now)
        return None

    def overrun(self, started_at: datetime, finished_at: datetime) -> timedelta:
        """How much longer the objects of a backup are locked that took longer than the margin: retention
        counts from its end.
        """
        return min(max(finished_at - started_at - self.margin, timedelta(0)), _LONGEST_BACKUP)

    def renewed(
        self, target: str, label: BackupLabel, *, locked_until: datetime | None, now: datetime
    ) -> datetime | None:
        """Until when to lock on a backup that retention keeps at this moment; None: its lock does for now.

        One from before there was a rule, or from before retention was made longer, is locked like a new one.
        """
        kept = self.kept(target, label)
        if kept is None:
            due, ahead, whole = ROLLING / 2, ROLLING, None
        else:
            due, ahead = max(self.margin, _LEAST_MARGIN), AHEAD
            whole = self._ends(kept, min(began_at(label), now), now)
        if locked_until is not None and locked_until > now + due and locked_until >= (whole or locked_until):
            return None
        soon = whole_second(now + max(ahead, 2 * due))
        return max(soon, whole) if whole else soon

    def promised(
        self, target: str, label: BackupLabel, finished_at: datetime, *, now: datetime
    ) -> datetime | None:
        """Until when its lock has to last at least; None: its time is over, or it never is, and it is locked
        on again and again.

        :param finished_at: retention counts from here; one in the future, which somebody has forged, counts
            as now.
        """
        kept = self.kept(target, label)
        if kept is None:
            return None
        ends = whole_second(min(finished_at, now) + min(kept, _LONGEST))
        return ends if ends > now else None

    def held(self, until: datetime | None, *, now: datetime) -> datetime:
        """Until when to lock what is held; a hold without an end is locked on like what is kept for ever."""
        return whole_second(now + (ROLLING if until is None else min(until - now, _LONGEST) + self.margin))

    def _ends(self, kept: timedelta | None, since: datetime, now: datetime) -> datetime | None:
        ends = now + ROLLING if kept is None else since + min(kept, _LONGEST) + self.margin
        # A storage refuses a date in the past, and one a moment ahead may be by the time it arrives.
        return whole_second(ends) if ends > now + _SOON else None


def began_at(label: BackupLabel) -> datetime:
    """When the backup began, by its label."""
    stamp = label.text.partition("-")[0]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)


def whole_second(moment: datetime) -> datetime:
    """The next whole second: storages keep no parts of one."""
    return moment.replace(microsecond=0) + timedelta(seconds=1 if moment.microsecond else 0)
