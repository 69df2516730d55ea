"""Days, weeks from Monday, months and years in UTC, by which retention keeps one backup of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """A kind of period.

    :param rule: the attribute of a retention policy that says how many of them count.
    :param begin: the first day of the one that a day lies in.
    :param after: the first day of the one so many later than that which begins with a day.
    :param name: what one is called, formatted with its first day.
    """

    rule: str
    begin: Callable[[date], date]
    after: Callable[[date, int], date]
    name: str


def newest_of_each(
    backups: Iterable[T],
    period: CalendarPeriod,
    count: int,
    *,
    moment: Callable[[T], datetime],
    proven: Callable[[T], bool],
) -> list[tuple[date, T]]:
    """Of each of the newest ``count`` periods that have a backup its newest proven one, or the newest at all.

    :param backups: oldest first.
    :returns: with the first day of its period, oldest first.
    """
    if not count:
        return []
    best: dict[date, T] = {}
    for one in backups:
        begin = period.begin(moment(one).astimezone(timezone.utc).date())
        if begin not in best or proven(one) or not proven(best[begin]):
            best[begin] = one
    return [(begin, best[begin]) for begin in sorted(best)[-count:]]


def _days_after(day: date, count: int) -> date:
    return date.fromordinal(min(day.toordinal() + count, date.max.toordinal()))


def _months_after(day: date, count: int) -> date:
    years, month = divmod(day.month - 1 + count, 12)
    return date(min(day.year + years, date.max.year), month + 1, 1)


CALENDAR_PERIODS = (
    CalendarPeriod("daily", lambda day: day, _days_after, "{:%Y-%m-%d}"),
    CalendarPeriod(
        "weekly",
        lambda day: day - timedelta(days=day.weekday()),
        lambda day, count: _days_after(day, 7 * count),
        "the week from {:%Y-%m-%d}",
    ),
    CalendarPeriod("monthly", lambda day: day.replace(day=1), _months_after, "{:%Y-%m}"),
    CalendarPeriod(
        "yearly",
        lambda day: day.replace(month=1, day=1),
        lambda day, count: date(min(day.year + count, date.max.year), 1, 1),
        "{:%Y}",
    ),
)
