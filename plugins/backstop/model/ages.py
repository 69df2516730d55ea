"""Times and durations as people say them in passing; the exact ones stand beside."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def in_short(duration: timedelta) -> str:
    """In the largest unit of which there are two: ``0.4 s``, ``90 s``, ``20 min``, ``3 h``, ``4 d``.

    Cut, never rounded up. What is negative is ``0 s``.
    """
    seconds = duration.total_seconds()
    if seconds <= 0:
        return "0 s"
    if seconds < 10:
        return f"{int(seconds * 10) / 10:g} s"
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def clock_time(moment: datetime, *, now: datetime) -> str:
    """``14:32:07Z``; of another day than ``now``, with its date."""
    at, today = moment.astimezone(timezone.utc), now.astimezone(timezone.utc)
    return f"{at:%H:%M:%S}Z" if at.date() == today.date() else f"{at:%Y-%m-%d %H:%M:%S}Z"


def exact_time(moment: datetime) -> str:
    """``2026-11-26 14:32:07Z``."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}Z"


def exact_day(moment: datetime) -> str:
    """``2026-11-26``, in UTC."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d}"
