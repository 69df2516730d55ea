"""What time it is, as far as backups vouch for it: a wrong clock must not be what deletes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.model.figures import exact_time
from backstop.model.retention_groups import STANDSTILL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from backstop.model.backup import BackupLabel
    from backstop.model.retention_policy import Candidate

CLOCK_SKEW = timedelta(minutes=15)
"""Between two machines that both keep time; S3 refuses requests beyond it, too."""
IMPLAUSIBLE = timedelta(days=60)
"""So long without any backup, a wrong clock is likelier than a streak of failures."""
UNUSUAL = timedelta(days=45)
"""More than a month, or most streaks of failures: after such a gap one night vouches for nothing."""
VOUCHING = 3
"""So many days with backups vouch for the time after an implausible gap."""


def dated_ahead(
    backups: Iterable[Candidate], now: datetime, accepted: Collection[BackupLabel]
) -> set[BackupLabel]:
    """Backups taken under a clock that ran ahead, as somebody has seen.

    :raises ConfigurationError: a backup finished later than ``now``, and nobody has accepted it: the wrong
        clock may be the one of this machine.
    """
    ahead = [candidate for candidate in backups if candidate.finished_at > now + CLOCK_SKEW]
    unseen = [candidate for candidate in ahead if candidate.label not in accepted]
    if unseen:
        raise ConfigurationError(
            f"it is {exact_time(now)} here, and {unseen[-1].label} finished at "
            f"{exact_time(unseen[-1].finished_at)}",
            hint="check the clock of this machine and of the one that took the backup; if that one ran "
            f"ahead, accept {', '.join(str(one.label) for one in unseen[-3:])}: it then stays until its date "
            "has come, and counts for nothing",
        )
    return {candidate.label for candidate in ahead}


def age_moment(dated: Sequence[Candidate], now: datetime) -> datetime:
    """The moment that ages are counted to: ``now``, but not beyond a standstill.

    A clock that ran ahead also dates the backups of that night, and they would vouch for it. So after an
    unusual gap those behind it are no witnesses until there are some of three days.

    :param dated: oldest first, at least one.
    :raises ConfigurationError: it is so long after the newest backup that a wrong clock is likelier.
    """
    newest = dated[-1]
    if now - newest.finished_at > IMPLAUSIBLE:
        raise ConfigurationError(
            f"it is {exact_time(now)} here, and the newest backup, {newest.label}, finished "
            f"{(now - newest.finished_at).days} days before",
            hint="check the clock of this machine; if it is right, take a backup: nothing expires before",
        )
    witness = newest.finished_at
    days: set[object] = set()
    for later, earlier in zip(reversed(dated), reversed(dated[:-1]), strict=False):
        days.add(later.finished_at.astimezone(timezone.utc).date())
        if len(days) >= VOUCHING:
            break
        if later.finished_at - earlier.finished_at > UNUSUAL:
            witness = earlier.finished_at
            days = set()  # of what is behind a gap, no day vouches for an earlier one
    return min(now, witness + STANDSTILL)
