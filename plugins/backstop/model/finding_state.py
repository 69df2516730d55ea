"""The life of a finding: it opens, is told of, is repeated sparingly, gets worse or better, and closes.

Everything is a value: what a watch found and the time go in, the next state comes out. Whom to tell what is a
second question, asked for each channel (somebody who is told) by itself, so that one who could not be reached
hears of it later and nobody else hears of it twice.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Mapping


AHEAD = timedelta(hours=1)
"""No watch takes so long: what is dated further ahead of now was written by a clock that was wrong, and must
not keep everything after it from counting until then."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How patient to be, and how talkative.

    :param warn_after: a warning is told of once it has lasted so long; what is critical, at once.
    :param close_after: a finding closes when it has not been found for so long. Each time it comes back
        before that, it takes twice as long the next time, up to ``close_at_most``.
    :param repeat_critical: and :param repeat_warning: what stays is told of again after so long.
    :param fold_above: more news than this for one channel become one message a level.
    """

    warn_after: timedelta = timedelta(minutes=8)
    close_after: timedelta = timedelta(minutes=8)
    close_at_most: timedelta = timedelta(hours=1)
    repeat_critical: timedelta = timedelta(hours=4)
    repeat_warning: timedelta = timedelta(hours=24)
    fold_above: int = 5

    def repeat(self, level: Level) -> timedelta:
        return self.repeat_critical if level is Level.CRITICAL else self.repeat_warning


@dataclass(frozen=True, slots=True)
class Told:
    """What one channel was told of a finding last. :param ended: that it is over."""

    at: datetime
    level: Level
    ended: bool = False


class News(enum.Enum):
    """Why somebody is told."""

    OPENED = "opened"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    ENDED = "ended"
    PASSED = "passed"
    """It is over, and nobody could be told of it while it lasted."""


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding from its opening to its close.

    :param finding: as it was found last.
    :param level_since: when it became as bad as it is.
    :param absent_since: not found any more since then, and not closed yet.
    :param reopenings: how often it came back before it could close.
    :param announced_at: when anybody was last told; None: not yet. :param announced_level: of what level.
    :param told: by channel.
    :param facts: what whoever reported it wants to remember; JSON.
    """

    finding: Finding
    opened_at: datetime
    level_since: datetime
    last_seen_at: datetime
    absent_since: datetime | None = None
    closed_at: datetime | None = None
    reopenings: int = 0
    announced_at: datetime | None = None
    announced_level: Level | None = None
    announcements: int = 0
    told: Mapping[str, Told] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)


def seen(state: OpenFinding | None, finding: Finding, now: datetime) -> OpenFinding:
    """After a watch at ``now`` found it; None: it is new. A watch that came late changes nothing."""
    if state is None:
        return OpenFinding(finding, opened_at=now, level_since=now, last_seen_at=now)
    state = _by_this_clock(state, now)
    if now < state.last_seen_at:
        return state
    return replace(
        state,
        finding=finding,
        level_since=state.level_since if finding.level is state.finding.level else now,
        last_seen_at=now,
        absent_since=None,
        reopenings=state.reopenings + (state.absent_since is not None),
    )


def missed(state: OpenFinding, now: datetime, rhythm: Rhythm) -> OpenFinding:
    """After a watch at ``now`` that looked for it and did not find it."""
    state = _by_this_clock(state, now)
    if now < state.last_seen_at or state.closed_at is not None:
        return state
    since = state.absent_since or now
    patience = min(rhythm.close_after * 2 ** min(state.reopenings, 16), rhythm.close_at_most)
    closed = now - since >= max(patience, rhythm.close_after)
    return replace(state, absent_since=since, closed_at=now if closed else None)


def _by_this_clock(state: OpenFinding, now: datetime) -> OpenFinding:
    """The same, without moments that lie too far ahead to be true."""
    if max(state.last_seen_at, state.absent_since or now) - now <= AHEAD:
        return state
    return replace(
        state,
        opened_at=min(state.opened_at, now),
        level_since=min(state.level_since, now),
        last_seen_at=min(state.last_seen_at, now),
        absent_since=state.absent_since and min(state.absent_since, now),
    )


def news_for(channel: str, state: OpenFinding, now: datetime, rhythm: Rhythm) -> News | None:
    """What the channel should be told of it now, if anything.

    Getting better is not news, only its end is, and only to whoever heard of its beginning. What was found,
    was critical and has gone before anybody could be told is told all the same.
    """
    told, level = state.told.get(channel), state.finding.level
    if state.closed_at is not None:
        if told is not None:
            return None if told.ended else News.ENDED
        return News.PASSED if level is Level.CRITICAL and state.announced_at is None else None
    if told is None:
        lasts = state.absent_since is None and now - state.opened_at >= rhythm.warn_after
        return News.OPENED if level is Level.CRITICAL or lasts else None
    if state.absent_since is not None:
        return None
    if level > told.level:
        return News.ESCALATED
    since = now - told.at
    return News.REPEATED if since >= rhythm.repeat(level) or since < -AHEAD else None


def heard(state: OpenFinding, channel: str, now: datetime) -> OpenFinding:
    """After the channel was told of it."""
    told = Told(now, state.finding.level, ended=state.closed_at is not None)
    return replace(
        state,
        told={**state.told, channel: told},
        announced_at=now,
        announced_level=state.finding.level,
        announcements=state.announcements + 1,
    )
