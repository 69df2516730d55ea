"""Times of files, for people."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def shown_time(mtime_ns: int) -> str:
    """UTC, with as many digits as it needs; a file may claim a time that no calendar has."""
    seconds, rest = divmod(mtime_ns, 1_000_000_000)
    try:
        text = f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
    except OverflowError:
        return f"{seconds} s"
    return text + (f".{rest:09}".rstrip("0") if rest else "")
