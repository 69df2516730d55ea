"""Tell people of findings: each channel what it has not heard yet, once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from backstop.model.announcement import announcements
from backstop.model.finding_state import News, heard, news_for
from backstop.model.words import what_failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from backstop.model.announcement import Announcement
    from backstop.model.finding import Finding
    from backstop.model.finding_state import OpenFinding, Rhythm
    from backstop.repository.finding_rows import Row
    from backstop.repository.findings import Findings, Telling


ATTEMPTS = 3
"""Messages that a channel may fail to take before it is left alone: one that it can never take must not keep
those behind it from being told. What does not return in time is not asked again."""


class Channel(Protocol):
    """Somebody who is told.

    :param name: stays the same from run to run: by it, what was told is remembered.
    """

    @property
    def name(self) -> str: ...

    def wants(self, finding: Finding) -> bool:
        """Whether findings of this level and target are for it."""
        ...

    def tell(self, announcement: Announcement) -> None:
        """Returns when it has been told; raises anything when it has not."""
        ...


@dataclass(frozen=True, slots=True)
class Announced:
    """What was told, in order, and which channels failed, in words."""

    told: tuple[Announcement, ...]
    failures: tuple[str, ...]


def announce(
    findings: Findings,
    channels: Sequence[Channel],
    *,
    now: datetime,
    rhythm: Rhythm,
    only: Finding | None = None,
) -> Announced:
    """Tell each channel its news, and remember that.

    A channel that fails is soon left alone for this time and hears what is left the next time; the others are
    told. What was told is remembered message by message. Whoever is killed in between tells that one again:
    rather twice than never.

    :param only: of this finding alone; the rest is left to the next watch.
    :raises SourceUnavailableError: the inventory does not answer; what was told last may be told again.
    """
    told: list[Announcement] = []
    failures: list[str] = []
    with findings.telling() as telling:
        rows = {row.id: row for row in telling.rows if only is None or row.state.finding.key == only.key}
        for channel in channels:
            failed = 0
            for announcement, about in _messages(channel, list(rows.values()), now, rhythm):
                try:
                    channel.tell(announcement)
                except Exception as error:  # whatever it is: the others must be told
                    failures.append(f"{channel.name}: {what_failed(error)}")
                    failed += 1
                    if failed == ATTEMPTS or isinstance(error, TimeoutError):
                        break
                    continue
                told.append(announcement)
                for row in about:
                    rows[row.id] = replace(row, state=heard(row.state, channel.name, now))
                telling.mark([rows[row.id] for row in about])
        _settle(telling, list(rows.values()), channels, now, rhythm)
    return Announced(tuple(told), tuple(failures))


def _messages(
    channel: Channel, rows: Sequence[Row], now: datetime, rhythm: Rhythm
) -> Iterator[tuple[Announcement, list[Row]]]:
    news = [(why, row.state) for row in rows if (why := _news(channel, row.state, now, rhythm))]
    by_state = {id(row.state): row for row in rows}
    for announcement in announcements(news, fold_above=rhythm.fold_above):
        yield announcement, [by_state[id(state)] for state in announcement.states]


def _news(channel: Channel, state: OpenFinding, now: datetime, rhythm: Rhythm) -> News | None:
    wanted = channel.wants(state.finding)
    if not wanted and channel.name not in state.told:
        return None
    news = news_for(channel.name, state, now, rhythm)
    # Who heard of a warning hears that it got worse and that it ended; the rest is for those who want it.
    return news if wanted or news is not News.REPEATED else None


def _settle(
    telling: Telling, rows: Sequence[Row], channels: Sequence[Channel], now: datetime, rhythm: Rhythm
) -> None:
    telling.settle(
        row
        for row in rows
        if row.state.closed_at is not None
        and not any(_news(channel, row.state, now, rhythm) for channel in channels)
    )
