"""What is said of findings: one message each, or one for many at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from backstop.model.figures import moment_in_words
from backstop.model.finding import EVERY_TARGET, Level
from backstop.model.finding_state import News

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backstop.model.finding import Finding
    from backstop.model.finding_state import OpenFinding

NAMED = 5
"""How many of a storm are named; the rest is counted."""

_OVER = (News.ENDED, News.PASSED)
_WORDS = {
    News.OPENED: "",
    News.ESCALATED: "now ",
    News.REPEATED: "still ",
    News.ENDED: "over: ",
    News.PASSED: "over, was ",
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message. :param states: what it is about, worst first; several of them are a storm, folded.

    :param news: why; of a storm, whether it is about what is there or about what is over.
    """

    news: News
    level: Level
    states: tuple[OpenFinding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(one.finding for one in self.states)

    @property
    def folded(self) -> bool:
        return len(self.states) > 1

    @property
    def subject(self) -> str:
        """One line: ``[critical] calibrify: the slot is lost``."""
        over = self.news in _OVER
        mark = f"[{_WORDS[self.news]}{self.level.value}]"
        if self.folded:
            targets = sorted({one.target for one in self.findings})
            where = f"of {targets[0]}" if len(targets) == 1 else f"of {len(targets)} targets"
            return f"{mark} {len(self.states)} findings {where}{' are over' if over else ''}"
        finding = self.findings[0]
        whose = "" if finding.target == EVERY_TARGET else f"{finding.target}: "
        return f"{mark} {whose}{finding.sentence}"

    @property
    def message(self) -> str:
        """Everything in some lines: what, since when, what to do, where to read on."""
        if self.folded:
            rest = len(self.states) - NAMED
            named = [f"- {one.target}: {one.sentence}" for one in self.findings[:NAMED]]
            more = [f"- and {rest} more: the Recoverability page names all of them"] if rest > 0 else []
            return "\n".join([self.subject, *named, *more])
        state = self.states[0]
        lines = [self.subject, f"Since {moment_in_words(state.opened_at)}{_often(state)}."]
        if self.news in _OVER:
            ended = state.absent_since or state.closed_at
            lines = [self.subject, f"From {state.opened_at:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC."]
            return "\n".join(lines)
        return "\n".join([*lines, f"Next: {state.finding.next_step}", f"See {state.finding.anchor}"])


def announcements(news: Iterable[tuple[News, OpenFinding]], *, fold_above: int) -> tuple[Announcement, ...]:
    """Messages for one channel, worst first: one for each, or one a level where there are many at once."""
    rows = sorted(news, key=lambda row: _order(*row))
    if len(rows) <= fold_above:
        return tuple(Announcement(why, state.finding.level, (state,)) for why, state in rows)
    return tuple(
        _fold(list(group))
        for _, group in groupby(rows, key=lambda row: (row[0] in _OVER, row[1].finding.level))
    )


def _fold(rows: Sequence[tuple[News, OpenFinding]]) -> Announcement:
    kinds = {why for why, _ in rows}
    over = News.ENDED if kinds <= set(_OVER) else News.OPENED
    why = kinds.pop() if len(kinds) == 1 else over
    return Announcement(why, rows[0][1].finding.level, tuple(state for _, state in rows))


def _order(why: News, state: OpenFinding) -> tuple[bool, bool, str, str, str]:
    return (why in _OVER, state.finding.level is not Level.CRITICAL, *state.finding.key)


def _often(state: OpenFinding) -> str:
    return f", came and went {state.reopenings} times" if state.reopenings else ""
