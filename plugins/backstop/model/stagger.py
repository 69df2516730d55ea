"""Spreads what many targets do over time: ``H`` in cron fields, as Jenkins has it.

``H 1 * * *`` is some minute after one o'clock, another one for each target, and the same one every day. Pure:
it depends on names alone, so that every process, and every restart, comes to the same time.
"""

from __future__ import annotations

import hashlib
import re

_FIELDS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))
"""From and to, of minute, hour, day of the month (that every month has), month, day of the week."""
_SPREAD = re.compile(r"H(?:\((\d+)-(\d+)\))?(?:/(\d+))?")


def is_spread(schedule: str) -> bool:
    """Whether something is left to be chosen."""
    return any(part.startswith("H") for part in re.split(r"[ ,]+", schedule))


def settle(schedule: str, *, name: str, procedure: str) -> str:
    """The plain cron fields that this schedule means for one target.

    ``H``: any value of the field; ``H(0-29)``: one of these; ``H/15``: every 15, from any of the first 15;
    ``H(8-19)/2``: the same within these.

    :param name: of the target. :param procedure: what is done; another one gets another time.
    :raises ValueError: a range that is none, or lies outside the field.
    """
    if not is_spread(schedule):
        return schedule
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise ValueError("expected five cron fields")
    return " ".join(
        ",".join(
            _settled(part, _FIELDS[index], f"{name}\n{procedure}\n{index}") if part.startswith("H") else part
            for part in field.split(",")
        )
        for index, field in enumerate(fields)
    )


def _settled(part: str, bounds: tuple[int, int], seed: str) -> str:
    asked = _SPREAD.fullmatch(part)
    if asked is None:
        raise ValueError(f"expected H, H(0-29), H/15 or H(0-29)/15, found {part!r}")
    low, high = (int(asked[1]), int(asked[2])) if asked[1] else bounds
    if not bounds[0] <= low <= high <= bounds[1]:
        raise ValueError(f"expected a range within {bounds[0]}-{bounds[1]}, found {part!r}")
    step = int(asked[3]) if asked[3] else None
    if step == 0:
        raise ValueError(f"expected steps of at least 1, found {part!r}")
    width = min(step or high - low + 1, high - low + 1)
    chosen = low + int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") % width
    return f"{chosen}-{high}/{step}" if step and chosen + step <= high else str(chosen)
