"""Sizes, durations and moments as people read them."""

from __future__ import annotations

from datetime import timezone
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def size_in_words(count: float) -> str:
    """``1.2 GB``: powers of 1000, as disks and buckets are sold."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration_in_words(duration: timedelta) -> str:
    """The two largest units that matter: ``0.3 s``, ``42 s``, ``3 min 5 s``, ``2 h 20 min``, ``3 d 4 h``."""
    seconds = abs(duration.total_seconds())
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for (size, unit), (smaller, next_unit) in pairwise(_UNITS):
        if whole >= size:
            rest = (whole % size) // smaller
            return f"{whole // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{whole} s"


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


def moment_in_words(moment: datetime) -> str:
    """``2026-11-23 01:00 UTC``."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


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
