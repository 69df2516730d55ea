"""Canonical JSON: one byte string for one value, so that it can be hashed and signed."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Sorted keys, no spaces, UTF-8, no NaN: the form that is signed (docs/format.md, "Signatures")."""
    return _CANONICAL.encode(value).encode()


def sha256_hex(data: bytes) -> str:
    """SHA-256 of the bytes as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def format_time(moment: datetime) -> str:
    """An aware time as UTC with microseconds, ``2026-11-23T01:00:00.000000Z``.

    :raises ValueError: when the time has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return f"{moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def parse_time(text: str) -> datetime:
    """The inverse of :func:`format_time`.

    :raises ValueError: written otherwise.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a time such as 2026-11-23T01:00:00.000000Z")
    # A fifth of what strptime takes: a catalogue has hundreds of thousands.
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=timezone.utc)
