"""Durations as people write them: ``30d``, ``1h30m``, ``90s``."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION_PATTERN = r"^(?=\d)(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"
"""For the JSON Schema; the same language as :func:`parse_duration` accepts."""

_DURATION = re.compile(
    r"(?:(?P<weeks>\d+)w)?(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?"
)
_LONGEST = timedelta(days=365_000)
"""A thousand years: whatever is added to a moment of ours still is a moment."""
_EXPECTED = "expected a duration such as 30d, 4h, 1h30m or 90s"


def parse_duration(text: object) -> timedelta:
    """Weeks, days, hours, minutes and seconds, largest first, each at most once: ``1d12h``.

    :raises ValueError: for anything else, zero included; says what was expected.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str):
        raise ValueError(f"{_EXPECTED} (a number needs its unit)")
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(_EXPECTED)
    try:
        duration = timedelta(**{unit: int(count) for unit, count in match.groupdict(default="0").items()})
    except (OverflowError, ValueError):
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"{_EXPECTED}, not as long")
    if not duration:
        raise ValueError(f"{_EXPECTED}, longer than zero")
    return duration


def format_duration(duration: timedelta) -> str:
    """The shortest text that :func:`parse_duration` reads back; whole seconds."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
