"""Histories of a target for property tests: clusters upgraded and recovered, and what is in reach."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.lsn import MEBIBYTE, Lsn
from backstop.model.retention import Candidate, RetentionPolicy, WalSeen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from backstop.model.retention import RetentionPlan

BEGIN = datetime(2025, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
SEGMENT = MEBIBYTE
"""A cluster fills one a day."""


@dataclass
class Timeline:
    """One of a cluster, from when to when it was the live one.

    :param ancestors: where each earlier one on the way to it was left.
    """

    system_id: str
    number: int
    began_at: datetime
    begin: Lsn
    ancestors: dict[int, Lsn]
    ended_at: datetime = BEGIN

    def position(self, moment: datetime) -> Lsn:
        return self.begin + int((moment - self.began_at) / DAY * SEGMENT)

    def leads_here(self, base: Candidate) -> bool:
        if base.system_id != self.system_id:
            return False
        left_at = self.ancestors.get(base.timeline)
        return base.timeline == self.number or (left_at is not None and base.end <= left_at)

    def segments(self, start: Lsn) -> Iterator[tuple[int, Lsn]]:
        """Timeline and begin of each segment on the way from a position, in its order, without an end."""
        number = start.position // SEGMENT
        while True:
            begin = Lsn(number * SEGMENT)
            owner = next(
                (one for one, left_at in sorted(self.ancestors.items()) if begin + SEGMENT <= left_at),
                self.number,
            )
            yield owner, begin
            number += 1


@dataclass
class World:
    """Everything that happened to one target."""

    backups: list[Candidate] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    now: datetime = BEGIN

    @property
    def seen(self) -> dict[str, WalSeen]:
        return {one.system_id: WalSeen(one.number, one.ended_at) for one in self.timelines}

    def until(self, moment: datetime) -> World:
        """As it was then."""
        lines = [
            replace(line, ended_at=min(line.ended_at, moment))
            for line in self.timelines
            if line.began_at <= moment
        ]
        backups = [one for one in self.backups if one.finished_at <= moment]
        return World(backups, lines, moment)

    def moments(
        self, cutoff: datetime, *, after: Sequence[RetentionPlan] = ()
    ) -> set[tuple[str, int, datetime]]:
        """Which of some moments since the cutoff could be recovered to once these plans were carried out."""
        staying = {one.label for one in self.backups} - {label for plan in after for label in plan.expired}
        found = set()
        for line in self.timelines:
            wanted = [moment for moment in _sampled(line) if moment >= cutoff]
            for base in self.backups:
                if base.label in staying and base.timeline and line.leads_here(base) and wanted:
                    if not _complete(base, {one.label: one for one in self.backups}, staying):
                        continue
                    reach = _reach(line, base, after)
                    found |= {
                        (line.system_id, line.number, moment)
                        for moment in wanted
                        if base.end <= line.position(moment) <= reach
                        and (base.timeline != line.number or base.snapshot_at <= moment)
                    }
        return found


def _sampled(line: Timeline) -> list[datetime]:
    step = (line.ended_at - line.began_at) / 12
    return [line.began_at + step * number for number in range(13)]


def _complete(base: Candidate, every: dict[BackupLabel, Candidate], staying: Collection[BackupLabel]) -> bool:
    return base.label in staying and all(
        needed in every and _complete(every[needed], every, staying) for needed in base.needs
    )


def _reach(line: Timeline, base: Candidate, after: Sequence[RetentionPlan]) -> Lsn:
    last = line.position(line.ended_at)
    for timeline, begin in line.segments(base.start):
        if begin > last:
            return last
        end = begin + SEGMENT
        if any(not one.keeps_wal(line.system_id, timeline=timeline, begin=begin, end=end) for one in after):
            return begin
    raise AssertionError("segments never end")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["full", "incr", "incr", "dump", "dump", "tree", "recover", "upgrade"]),
        st.floats(0.1, 20),  # days since the event before
        st.integers(0, 9),  # something to draw a choice from
        st.integers(0, 3),  # 0: not proven
        st.sampled_from([None, 0, 10, 100, 1000, 1100]),
    ),
    min_size=1,
    max_size=25,
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A target's history: backups of every kind, recoveries to earlier moments, upgrades."""
    world = World()
    moment = BEGIN
    world.timelines.append(Timeline("1", 1, BEGIN, Lsn(100 * SEGMENT), {}))
    for kind, gap, choice, proven, content in draw(EVENTS):
        moment += gap * DAY
        line = world.timelines[-1]
        line.ended_at = moment
        if kind == "recover":
            world.timelines.append(_recovered(line, moment, choice))
        elif kind == "upgrade":
            following = str(int(line.system_id) + 1)
            world.timelines.append(Timeline(following, 1, moment, Lsn(50 * SEGMENT), {}, moment))
        else:
            world.backups.append(_backup(world, kind, moment, choice, bool(proven), content))
    world.now = moment + draw(st.floats(0, 15)) * DAY
    world.timelines[-1].ended_at = world.now
    return world


def _recovered(line: Timeline, moment: datetime, choice: int) -> Timeline:
    """A new timeline that left the one before it up to nine days ago."""
    left_at = line.position(max(line.began_at, moment - choice * DAY))
    ancestors = {**line.ancestors, line.number: left_at}
    return Timeline(line.system_id, line.number + 1, moment, left_at, ancestors, moment)


def _backup(
    world: World, kind: str, moment: datetime, choice: int, proven: bool, content: int | None
) -> Candidate:
    line = world.timelines[-1]
    common = {
        "system_id": line.system_id,
        "finished_at": moment,
        "stored_bytes": 1,
        "proven": proven,
        "kept_because": ("held by ann",) if choice == 9 else (),
    }
    if kind in ("dump", "tree"):
        name = "ab"[choice % 2] if kind == "tree" else ""
        label = BackupLabel.at(moment, BackupKind(kind), tree=name)
        before = [one.label for one in world.backups if one.label.tree == name != ""]
        return Candidate(
            label=label,
            snapshot_at=moment - timedelta(hours=choice),
            content=content,
            needs=tuple(before[-choice:]) if 0 < choice < 4 else (),
            **common,
        )
    parents = [
        one for one in world.backups if one.timeline == line.number and one.system_id == line.system_id
    ]
    parent = parents[-1].label if kind == "incr" and parents else None
    end = line.position(moment)
    return Candidate(
        label=BackupLabel.at(moment, BackupKind.INCREMENTAL if parent else BackupKind.FULL),
        snapshot_at=moment,
        needs=(parent,) if parent else (),
        timeline=line.number,
        start=max(line.begin, end - SEGMENT // 3) if end.position > SEGMENT else end,
        end=end,
        **common,
    )


COUNTS = st.integers(0, 4)
POLICIES = st.builds(
    RetentionPolicy,
    keep_for=st.none() | st.floats(0.5, 90).map(lambda days: days * DAY),
    keep_last=COUNTS,
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
    min_proven=st.integers(0, 4),
)
