"""Timeline history files, and the way WAL takes through timelines (PostgreSQL docs, "Timelines")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.model.lsn import Lsn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# sscanf("%u\t%X/%X") in PostgreSQL's readTimeLineHistory, where a tab means any white space.
_ENTRY = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})(?:\s+(.*))?")
_TIMELINES = 1 << 32


@dataclass(frozen=True, slots=True)
class TimelineSwitch:
    """One line of a history file: WAL of ``timeline`` counts up to ``at``, and not beyond.

    :param reason: why recovery ended there, as PostgreSQL wrote it.
    """

    timeline: int
    at: Lsn
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TimelineHistory:
    """Where a timeline comes from: all of its ancestors, oldest first; a first timeline has none."""

    timeline: int
    switches: tuple[TimelineSwitch, ...]


@dataclass(frozen=True, slots=True)
class TimelineSpan:
    """A part of the way through timelines: positions from ``begin`` up to, not including, ``end``."""

    timeline: int
    begin: Lsn
    end: Lsn | None
    """None on the timeline that the way leads to."""


def history_name(timeline: int) -> str:
    """The name of the history file, such as ``00000002.history``."""
    return f"{timeline:08X}.history"


def parse_history(timeline: int, content: bytes) -> TimelineHistory:
    """Read a ``.history`` file, with the rules of PostgreSQL's own reader.

    :raises IntegrityError: when PostgreSQL would refuse it.
    """
    switches: list[TimelineSwitch] = []
    # The reason may quote a restore point in any encoding; only numbers are acted upon.
    for line in content.decode("utf-8", errors="replace").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            raise _malformed(timeline, f"{line[:80]!r} is not a timeline and a switch point")
        parent = int(entry[1])
        if not (switches[-1].timeline if switches else 0) < parent < _TIMELINES:
            raise _malformed(timeline, f"timeline {parent} is not later than the one before it")
        switches.append(TimelineSwitch(parent, Lsn.parse(entry[2]), (entry[3] or "").strip()))
    if switches and switches[-1].timeline >= timeline:
        raise _malformed(timeline, f"it names timeline {switches[-1].timeline} as an ancestor")
    return TimelineHistory(timeline, tuple(switches))


def _malformed(timeline: int, what: str) -> IntegrityError:
    return IntegrityError(
        f"{history_name(timeline)} cannot be read: {what}",
        hint="compare it with the copy in the other repository, or in pg_wal of the server",
    )


def ancestry(history: TimelineHistory) -> tuple[TimelineSpan, ...]:
    """Which timeline each position belongs to on the way to this one, oldest first.

    A recovery that follows a timeline but ends before it began leaves a history whose switch points go
    backwards. PostgreSQL asks the newest timeline first (``tliOfPointInHistory``): so do we, and an ancestor
    of which nothing is left is not in the answer.
    """
    spans: list[TimelineSpan] = []
    end: Lsn | None = None
    ancestors = [*history.switches, TimelineSwitch(history.timeline, Lsn(0))]
    for index in range(len(ancestors) - 1, -1, -1):
        begin = ancestors[index - 1].at if index else Lsn(0)
        if end is None or begin < end:
            spans.append(TimelineSpan(ancestors[index].timeline, begin, end))
            end = begin
    return tuple(reversed(spans))


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """A history file as it lies in the repository.

    :param sha16: the first 16 hexadecimal digits of its SHA-256, from its name.
    """

    timeline: int
    sha16: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Histories:
    """All history files of one cluster.

    :param readable: by timeline.
    :param problems: by timeline, in words, why its stored history cannot be used.
    :param conflicts: by timeline, the hashes of different files stored under its name.
    """

    readable: Mapping[int, TimelineHistory]
    problems: Mapping[int, str]
    conflicts: Mapping[int, tuple[str, ...]]

    @classmethod
    def read(cls, stored: Iterable[StoredHistory]) -> Histories:
        """Parse them; what is damaged, or stored with two contents, is named and not used."""
        found: dict[int, dict[str, bytes]] = {}
        for history in stored:
            found.setdefault(history.timeline, {})[history.sha16] = history.content
        readable: dict[int, TimelineHistory] = {}
        problems: dict[int, str] = {}
        conflicts: dict[int, tuple[str, ...]] = {}
        for timeline, contents in sorted(found.items()):
            if len(contents) > 1:
                conflicts[timeline] = tuple(sorted(contents))
                hashes = ", ".join(conflicts[timeline])
                problems[timeline] = f"{history_name(timeline)} is stored with different contents ({hashes})"
                continue
            try:
                readable[timeline] = parse_history(timeline, next(iter(contents.values())))
            except IntegrityError as error:
                problems[timeline] = error.message
        return cls(readable, problems, conflicts)

    @property
    def known(self) -> frozenset[int]:
        """Timelines that have a history file, readable or not."""
        return frozenset(self.readable) | frozenset(self.problems)

    def path_to(self, timeline: int) -> tuple[TimelineSpan, ...]:
        """The way to a timeline. Without a readable history it begins with the timeline itself, as
        PostgreSQL assumes; nothing older can then be rolled forward onto it."""
        return ancestry(self.readable.get(timeline, TimelineHistory(timeline, ())))

    def missing_for(self, timeline: int) -> str:
        """In words, why the ancestors of a timeline are not known; empty when they are."""
        if timeline in self.problems:
            return self.problems[timeline]
        if timeline > 1 and timeline not in self.readable:
            return f"{history_name(timeline)} is missing"
        return ""
