"""When each backup of one kind in one repository will probably go: an estimate, for people.

It knows only what the inventory has, and assumes that backups go on to come, and to be proven, as before.
What really goes is decided by :mod:`backstop.model.retention` from manifests and signed proofs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from backstop.model.calendar_periods import CALENDAR_PERIODS, newest_of_each
from backstop.model.retention_rules import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.model.calendar_periods import CalendarPeriod
    from backstop.model.retention_policy import RetentionPolicy

_RHYTHM_OF = 10


@dataclass(frozen=True, slots=True)
class Stored:
    """One backup that is there.

    :param builds_on_last: an incremental one, which needs the one before it.
    :param held: until somebody releases it; :param held_until: until then.
    """

    label: str
    finished_at: datetime
    proven: bool
    builds_on_last: bool = False
    held: bool = False
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """Until when one rule probably keeps it; None: until something changes that no date is known of."""

    until: datetime | None
    because: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """When a backup probably goes, and what keeps it till then.

    :param not_before: None: not in sight.
    :param stays: what keeps it, the longest first.
    """

    label: str
    not_before: datetime | None
    stays: tuple[Stay, ...]

    @property
    def because(self) -> str:
        """What keeps it longest, in words."""
        return self.stays[0].because if self.stays else "nothing keeps it"


def forecast_leaving(
    backups: Sequence[Stored], *, policy: RetentionPolicy, now: datetime
) -> tuple[Leaving, ...]:
    """One a backup, in the order given.

    :param backups: all of one kind in one repository, oldest first.
    """
    stays: dict[str, list[Stay]] = {one.label: [] for one in backups}
    for label, stay in _stays(backups, policy):
        if stay.until is None or stay.until > now:
            stays[label].append(stay)
    for index in range(len(backups) - 1, 0, -1):
        one, before = backups[index], backups[index - 1]
        if one.builds_on_last:
            until, because = _longest(stays[one.label])
            if because:
                reason = because if because.startswith("needed by") else f"needed by {one.label}"
                stays[before.label].append(Stay(until, reason))
    return tuple(_leaving(one.label, stays[one.label], now) for one in backups)


def _leaving(label: str, stays: list[Stay], now: datetime) -> Leaving:
    ordered = tuple(sorted(stays, key=_length, reverse=True))
    return Leaving(label, ordered[0].until if ordered else now, ordered)


def _length(stay: Stay) -> tuple[bool, float]:
    return stay.until is None, stay.until.timestamp() if stay.until else 0.0


def _longest(stays: list[Stay]) -> tuple[datetime | None, str]:
    longest = max(stays, key=_length, default=None)
    return (longest.until, longest.because) if longest else (None, "")


def _stays(backups: Sequence[Stored], policy: RetentionPolicy) -> Iterator[tuple[str, Stay]]:
    for one in backups:
        if one.held or one.held_until is not None:
            yield one.label, Stay(None if one.held else one.held_until, "held")
    if policy.keeps_everything:
        yield from ((one.label, Stay(None, policy.without_rules)) for one in backups)
        return
    if policy.keep_for is not None:
        yield from _by_age(backups, policy.keep_for)
    yield from _by_number(backups, policy.keep_last, "one of the newest {} (keep_last)")
    for period in CALENDAR_PERIODS:
        yield from _by_period(backups, period, getattr(policy, period.rule))
    proven = [one for one in backups if one.proven]
    yield from _by_number(
        proven, max(1, policy.min_proven), "one of the newest {} that are proven (min_proven)"
    )
    if backups:
        yield backups[-1].label, Stay(None, "the newest")


def _by_age(backups: Sequence[Stored], keep_for: timedelta) -> Iterator[tuple[str, Stay]]:
    """Its own age; then, as the newest from before that time, until the next one is as old."""
    span = in_words(keep_for)
    for one in backups:
        yield one.label, Stay(_after(one.finished_at, keep_for), f"not older than {span} (keep_for)")
    why = f"needed to go back {span} (keep_for)"
    for every in (backups, [one for one in backups if one.proven]):
        for one, following in pairwise(every):
            yield one.label, Stay(_after(following.finished_at, keep_for), why)


def _by_number(backups: Sequence[Stored], count: int, because: str) -> Iterator[tuple[str, Stay]]:
    """Until so many newer ones have come, at the rhythm of the last ones."""
    recent = [one.finished_at for one in backups[-_RHYTHM_OF:]]
    steps = [(later - earlier).total_seconds() for earlier, later in pairwise(recent)]
    rhythm = timedelta(seconds=median(steps)) if steps else None
    kept = backups[-count:] if count else ()
    for rank, one in enumerate(reversed(kept)):
        until = None if rhythm is None else _after(backups[-1].finished_at, rhythm, times=count - rank)
        yield one.label, Stay(until, because.format(count))


def _by_period(backups: Sequence[Stored], period: CalendarPeriod, count: int) -> Iterator[tuple[str, Stay]]:
    """The newest proven one of each period, or the newest, until so many later periods have begun."""
    for begin, one in newest_of_each(
        backups, period, count, moment=lambda one: one.finished_at, proven=lambda one: one.proven
    ):
        until = datetime.combine(period.after(begin, count), time(), timezone.utc)
        yield one.label, Stay(until, f"kept of its period ({period.rule}: {count})")


def _after(moment: datetime, span: timedelta, *, times: int = 1) -> datetime | None:
    """None: later than any date; a forged backup may say that it ends there."""
    try:
        return moment + span * times
    except OverflowError:
        return None
