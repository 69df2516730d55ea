"""Clocks that disagree: leases end by them, ages and losses are counted by them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level
from backstop.repository.lock import CLOCK_SKEW, LEASE_TTL

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.commands.watch.part import ClockSeen

BREAKS_LEASES = LEASE_TTL + 2 * CLOCK_SKEW
"""Further apart than this, one machine takes a lease over that another one is holding."""


def offset(other: datetime, *, before: datetime, after: datetime) -> float:
    """Seconds that the other clock is ahead of ours, taken to have been read halfway between the two.

    Off by at most half of the round trip.
    """
    return (other - (before + (after - before) / 2)).total_seconds()


def judge_clock(seen: ClockSeen, *, target: str, clock_skew: timedelta) -> tuple[Finding, ...]:
    """Whether a clock agrees with ours.

    :param clock_skew: what is still in order.
    """
    apart = timedelta(seconds=abs(seen.ahead_seconds))
    if apart <= clock_skew:
        return ()
    level = Level.CRITICAL if apart > BREAKS_LEASES else Level.WARNING
    side = "ahead of" if seen.ahead_seconds > 0 else "behind"
    harm = "leases no longer keep two writers apart" if level is Level.CRITICAL else "ages are off by as much"
    return (
        Finding(
            target=target,
            check="clock",
            subject=seen.name,
            level=level,
            sentence=f"the clock of {seen.name} is {apart.total_seconds():.0f} s {side} ours: {harm}",
            next_step="compare both with a third clock and set the wrong one right (NTP, chrony)",
        ),
    )
