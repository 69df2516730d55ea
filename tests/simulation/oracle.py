"""What is still restorable, by looking at every byte: shares no code and no rule with retention."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from backstop.model.lsn import DEFAULT_SEGMENT_BYTES as SEGMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.simulation.chronicle import Made, Moment
    from tests.simulation.cluster import Cluster
    from tests.simulation.world import World


@dataclass(frozen=True)
class Reach:
    """Along one way through timelines: up to where each stored run of WAL leads.

    :param runs: ``(begin, end)`` of what follows without a gap.
    """

    cluster: Cluster
    timeline: int
    runs: tuple[tuple[int, int], ...]

    def leads(self, start: int, to: int) -> bool:
        return any(begin <= start and to <= end for begin, end in self.runs)


class Sight:
    """One repository of one target as it lies there now."""

    def __init__(self, world: World, repository: str, target: str) -> None:
        self.changes = world.shelves[repository].changes
        self.shelf = world.shelves[repository]
        self.chronicle = world.chronicle
        self.repository = repository
        self.target = target
        self.labels = set(world.labels(target, repository))
        self.backups = {label: self.chronicle.made[target, label] for label in self.labels}
        self.objects = len(self.shelf.keys(f"{target}/"))
        held = [made for made in self.backups.values() if self.chronicle.proven(repository, made)]
        #: Those that a true verification here speaks for, the newest first.
        self.proven = sorted(held, key=lambda made: made.at, reverse=True)
        self._reaches: dict[tuple[str, int], Reach] = {}
        self._stored = self._stored_wal()

    def _stored_wal(self) -> dict[tuple[str, int, int], int]:
        """By cluster, timeline and number of a segment: how many bytes from its beginning are there."""
        found: dict[tuple[str, int, int], int] = {}
        for folder in ("data/wal", "tail"):
            for key in self.shelf.keys(f"{self.target}/{folder}/"):
                place, length = _wal(key)
                if length:
                    found[place] = max(found.get(place, 0), length)
        return found

    def reach(self, cluster: Cluster, timeline: int) -> Reach:
        """All WAL on the way to a timeline, as runs without a gap."""
        known = (cluster.system_id, timeline)
        if known not in self._reaches:
            self._reaches[known] = Reach(cluster, timeline, tuple(self._runs(cluster, timeline)))
        return self._reaches[known]

    def _runs(self, cluster: Cluster, timeline: int) -> Iterator[tuple[int, int]]:
        way = cluster.way_to(timeline)
        pieces: list[tuple[int, int]] = []
        for (system_id, stored_on, number), length in self._stored.items():
            if system_id != cluster.system_id:
                continue
            begin, end = number * SEGMENT, number * SEGMENT + length
            for position, (on, _, left_at) in enumerate(way):
                # A timeline's first file begins with what its parent wrote up to the switch.
                if on == stored_on and (left_at is None or begin < left_at):
                    first = way[position][1] // SEGMENT * SEGMENT
                    if begin >= first:
                        pieces.append((begin, end if left_at is None else min(end, left_at)))
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(pieces):
            if merged and begin <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((begin, end))
        return iter(merged)

    def whole(self, made: Made) -> str:
        """Why a backup cannot be restored from here; empty when it can."""
        for label in made.needs:
            if label not in self.labels:
                return f"{made.label} builds on {label}, whose manifest is gone"
        for label in (*made.needs, made.label):
            for key in self.backups[label].keys:
                body = self.shelf.body(key)
                if body is None:
                    return f"{made.label} needs {key}, which is gone"
                if body != self.chronicle.bytes_of[key]:
                    return f"{made.label} needs {key}, which has other bytes"
        if made.cluster and not self.reach(made.cluster, made.timeline).leads(made.start, made.end):
            return f"{made.label} lacks WAL between its start and its end"
        return ""

    def recoverable(self, moments: Iterable[Moment]) -> set[Moment]:
        """Those to which some base backup here can be rolled forward."""
        bases = [made for made in self.backups.values() if made.cluster and set(made.needs) <= self.labels]
        found: set[Moment] = set()
        ready: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for moment in moments:
            known = (moment.cluster.system_id, moment.timeline)
            if known not in ready:
                ready[known] = self._ready(moment.cluster, moment.timeline, bases)
            if any(first <= moment.position <= end for first, end in ready[known]):
                found.add(moment)
        return found

    def _ready(self, cluster: Cluster, timeline: int, bases: list[Made]) -> list[tuple[int, int]]:
        """Of each run, from which position on there is a base backup to begin with."""
        way = cluster.way_to(timeline)
        usable = [
            made
            for made in bases
            if made.cluster is cluster
            and any(
                on == made.timeline and begin <= made.start and (left is None or made.end <= left)
                for on, begin, left in way
            )
        ]
        found = []
        for begin, end in self.reach(cluster, timeline).runs:
            ends = [made.end for made in usable if begin <= made.start and made.end <= end]
            if ends:
                found.append((min(ends), end))
        return found

    def systems(self) -> set[str]:
        """Clusters of which anything is stored."""
        return {system_id for system_id, _, _ in self._stored}

    def newest_timeline(self, system_id: str) -> int:
        """Of a cluster; 1 where nothing is stored."""
        return max((timeline for system, timeline, _ in self._stored if system == system_id), default=1)

    def wal_keys(self, system_id: str) -> Iterator[tuple[int, str]]:
        """Each object of a cluster's WAL with the number of its segment."""
        for folder in ("data/wal", "tail"):
            for key in self.shelf.keys(f"{self.target}/{folder}/{system_id}/"):
                place, length = _wal(key)
                if length:
                    yield place[2], key


@cache
def _wal(key: str) -> tuple[tuple[str, int, int], int]:
    """Cluster, timeline and number of the segment that a key is of, and how many bytes from its beginning.

    Of a history file, and of a piece from the middle, there are none.
    """
    _, folder, *parts = key.split("/")
    if folder == "tail":
        system_id, _, name, piece = parts
        offset, length, _ = piece.split("-")
        return (system_id, *_place(name)), 0 if int(offset, 16) else int(length, 16)
    if len(parts) == 3:
        return (parts[1], int(parts[2][:8], 16), 0), 0
    return (parts[1], *_place(parts[3][:24])), SEGMENT


def _place(name: str) -> tuple[int, int]:
    """Timeline and number of a segment from its file name."""
    return int(name[:8], 16), int(name[8:16], 16) * 256 + int(name[16:], 16)
