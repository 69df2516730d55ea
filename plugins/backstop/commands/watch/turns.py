"""Whose turn it is: work that need not be done each time is spread over the day by the clock alone."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.commands.watch.sight import Sight

MADE_UP_FOR = timedelta(hours=1)
"""A watch that was late does what was due in so long a time; what is left comes by in the next round."""
_BEGINNING = datetime(2000, 1, 1, tzinfo=timezone.utc)


def turns_now(sight: Sight) -> range:
    """Numbers of the rhythm's beats since the watch before."""
    last = _beat(sight.now, sight.rhythm)
    if sight.previous is None:
        return range(last, last + 1)
    since = max(sight.previous.observed_at, sight.now - MADE_UP_FOR)
    return range(min(_beat(since, sight.rhythm) + 1, last), last + 1)


def has_turn(text: str, turns: range, *, within: timedelta, rhythm: timedelta) -> bool:
    """Whether something of this name is due, when each has one turn ``within`` a time."""
    beats = max(within // rhythm, 1)
    return any(zlib.crc32(text.encode()) % beats == turn % beats for turn in turns)


def _beat(moment: datetime, rhythm: timedelta) -> int:
    return (moment - _BEGINNING) // rhythm
