"""Watches a simulated history as the real watch would, and tallies what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backstop.model.anomaly import Sample, size_anomaly
from backstop.model.forecast import Restore, forecast
from backstop.model.punctuality import punctuality, usual_duration
from tests.watching.nights import BEGIN, DAY, History

LATE_AFTER = timedelta(hours=1)
NEWEST = 800
"""The real watch does not look at years of hourly backups either."""


@dataclass
class Found:
    """What the watch of one kind said.

    :param criticals: moments at which it was overdue. :param off_time: at which ``backup_status`` was 0.
    :param sizes: due times of the backups whose size was odd.
    :param restores: restores that had a forecast; :param within: of them inside its interval.
    """

    criticals: list[datetime] = field(default_factory=list)
    off_time: list[datetime] = field(default_factory=list)
    sizes: list[datetime] = field(default_factory=list)
    restores: int = 0
    within: int = 0


def watch(
    history: History,
    *,
    days: int,
    every: timedelta = timedelta(minutes=15),
    clock: dict[int, timedelta] | None = None,
    first_day: int = 0,
) -> Found:
    """Look at every moment of so many days.

    :param clock: how far the watch's clock is off, by day.
    :param first_day: when to begin; the target is known from the first day of the history on.
    """
    found = Found()
    true = BEGIN + first_day * DAY
    judged = len(history.ended_by(true))
    while true < BEGIN + days * DAY:
        there = history.ended_by(true)
        newest = there[-NEWEST:]
        now = true + (clock or {}).get((true - BEGIN) // DAY, timedelta(0))
        verdict = punctuality(
            history.kind.schedule,
            [one.ended for one in newest],
            now=now,
            late_after=LATE_AFTER,
            usual=usual_duration(timedelta(seconds=one.seconds) for one in newest),
            known_since=BEGIN,
        )
        if verdict.overdue:
            found.criticals.append(true)
        if not verdict.on_time:
            found.off_time.append(true)
        for number in range(judged, len(there)):
            judge_size(history, number, found)
            _judge_forecast(history, number, found)
        judged = len(there)
        true += every
    return found


def judge_size(history: History, number: int, found: Found) -> None:
    samples = [Sample(one.ended, one.bytes) for one in history.backups[max(number - NEWEST, 0) : number + 1]]
    if size_anomaly(samples[:-1], samples[-1]) is not None:
        found.sizes.append(history.backups[number].due)


def _judge_forecast(history: History, number: int, found: Found) -> None:
    newest = history.backups[number]
    told = forecast(
        [
            Restore(one.bytes, one.restore_seconds)
            for one in history.backups[max(number - NEWEST, 0) : number]
            if one.proven <= newest.ended
        ],
        bytes=newest.bytes,
    )
    if told is not None:
        found.restores += 1
        found.within += told.low_seconds <= newest.restore_seconds <= told.high_seconds
