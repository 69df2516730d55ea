"""Whether the newest backup is there that was due. Pure.

It asks what *should* be there, not what ran last: a job that never ran is as late as one that failed.
Lateness counts from the first due time that nothing followed: the next due time forgives nothing, or a job
that is due every few minutes would never be late.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from croniter import croniter

from backstop.model.figures import duration_in_words, moment_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GRACE = timedelta(minutes=15)
"""What every backup may take, however quick it usually is."""
FIRST = timedelta(hours=4)
"""What one may take when nobody knows what is usual, and the next is not due before."""
EARLY = timedelta(minutes=5)
"""A backup that ended so shortly before it was due counts as the one that was: another clock is ahead."""
AHEAD = timedelta(hours=1)
"""A backup dated so far in the future is there, by a clock that is ahead. What is dated further ahead says
nothing about when it was made, and does not count: it would hide every missing one until then."""


@dataclass(frozen=True, slots=True)
class Punctuality:
    """Whether what was due is there.

    :param due_at: the first due time that nothing followed, or the last one when all is there; None: nothing
        was due yet.
    :param next_due_at: the first due time after now; None without a schedule.
    :param on_time: what was due is there, or still has time: ``backup_status`` is 1.
    :param overdue_by: time since ``due_at`` while it is unmet, still in time or not; else zero.
    :param overdue: somebody has to be told: a critical finding.
    :param sentence: all of it in words, without the object's name: ``the backup due at … is there``.
    """

    due_at: datetime | None
    next_due_at: datetime | None
    on_time: bool
    overdue_by: timedelta
    overdue: bool
    sentence: str


def punctuality(
    schedule: str | Sequence[str] | None,
    completed: Iterable[datetime],
    *,
    now: datetime,
    late_after: timedelta,
    usual: timedelta | None,
    known_since: datetime | None,
) -> Punctuality:
    """Compare what was due with what is there.

    :param schedule: cron fields in UTC; several: each of them asks for a backup; None: none is ever due.
    :param completed: when backups were published, in any order, by whatever clock.
    :param late_after: an unmet due time so old is ``overdue``, unless the backup still has time by then.
    :param usual: how long a backup usually takes; it has twice that, and 15 minutes at least. None: nobody
        knows yet; four hours, or what is left until the next is due.
    :param known_since: nothing was due before: when the target, or its schedule as it is now, was first
        seen. None: long ago, so that a target without any backup is overdue at once.
    """
    crons = (schedule,) if isinstance(schedule, str) else tuple(schedule or ())
    now = now.astimezone(timezone.utc)
    if not crons:
        return Punctuality(None, None, True, timedelta(0), False, "no schedule asks for a backup")
    last, following = _before(crons, now), _after(crons, now)
    early = min(EARLY, (following - last) / 10)
    grace = max(GRACE, min(FIRST, following - last) if usual is None else 2 * usual)
    limit = max(late_after, grace)
    newest, ahead = _newest(completed, now)
    if newest is not None:
        unmet = _after(crons, max(newest + early, known_since or newest))
    elif known_since is not None:
        unmet = _after(crons, known_since)
    else:
        # The last that is overdue already.
        unmet = _before(crons, min(last, now - limit) - timedelta(microseconds=1))
    if unmet > now:
        due = last if known_since is None or last > known_since else None
        return Punctuality(due, following, True, timedelta(0), False, _met(due, following))
    missing = now - unmet
    return Punctuality(
        due_at=unmet,
        next_due_at=following,
        on_time=missing <= grace,
        overdue_by=missing,
        overdue=missing > limit,
        sentence=_unmet(unmet, missing, grace, newest, ahead),
    )


def usual_duration(durations: Iterable[timedelta]) -> timedelta | None:
    """How long a backup usually takes: the median of the newest ten. :param durations: oldest first."""
    recent = [duration.total_seconds() for duration in durations][-10:]
    return timedelta(seconds=statistics.median(recent)) if recent else None


def _newest(completed: Iterable[datetime], now: datetime) -> tuple[datetime | None, datetime | None]:
    """The newest that counts, at most now; and the farthest ahead of those that do not."""
    counting: datetime | None = None
    ahead: datetime | None = None
    for moment in completed:
        if moment <= now + AHEAD:
            counting = min(moment, now) if counting is None else max(counting, min(moment, now))
        else:
            ahead = moment if ahead is None else max(ahead, moment)
    return counting, ahead


def _before(crons: Sequence[str], moment: datetime) -> datetime:
    """The last due time that is not after the moment."""
    # croniter answers with a time before the one it starts from, to the microsecond.
    start = moment.astimezone(timezone.utc) + timedelta(microseconds=1)
    moments: list[datetime] = [croniter(cron, start).get_prev(datetime) for cron in crons]
    return max(moments).replace(fold=0)


def _after(crons: Sequence[str], moment: datetime) -> datetime:
    """The first due time after the moment."""
    start = moment.astimezone(timezone.utc)
    moments: list[datetime] = [croniter(cron, start).get_next(datetime) for cron in crons]
    return min(moments).replace(fold=0)


def _met(due: datetime | None, following: datetime) -> str:
    if due is None:
        return f"the first backup is due at {moment_in_words(following)}"
    return (
        f"the backup due at {moment_in_words(due)} is there; the next is due at {moment_in_words(following)}"
    )


def _unmet(
    due: datetime, missing: timedelta, grace: timedelta, newest: datetime | None, ahead: datetime | None
) -> str:
    if missing <= grace:
        return f"the backup due at {moment_in_words(due)} is not there yet, and has time until " + (
            moment_in_words(due + grace)
        )
    there = f"the newest ended at {moment_in_words(newest)}" if newest else "there never was one"
    if ahead is not None:
        there += f"; one is dated {moment_in_words(ahead)}, in the future, and says nothing"
    return (
        f"the backup due at {moment_in_words(due)}, {duration_in_words(missing)} ago, is not there; {there}"
    )
