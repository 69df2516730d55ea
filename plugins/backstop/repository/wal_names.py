"""Under which names a target's WAL lies in a repository, and what such a name says (docs/format.md, "WAL").

The names carry the start of the plaintext's SHA-256: two writers of the same WAL write the same name, and a
segment that exists with two hashes shows without anything being read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from backstop.model.lsn import WalSegment
    from backstop.storage.base import ObjectInfo

SHA_DIGITS = 16
_SEGMENT = re.compile(r"(?P<segment>[0-9A-F]{24})-(?P<sha>[0-9a-f]{16})")
_HISTORY = re.compile(r"(?P<timeline>[0-9A-F]{8})\.history-(?P<sha>[0-9a-f]{16})")
_DELTA = re.compile(
    r"(?P<segment>[0-9A-F]{24})/(?P<offset>[0-9a-f]{8})-(?P<length>[0-9a-f]{8})-(?P<sha>[0-9a-f]{16})"
)


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A whole segment as a listing shows it.

    :param segment: its file name, 24 hexadecimal digits; :param sha: of its plaintext, 16 digits.
    """

    key: str
    segment: str
    sha: str
    stored_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """A timeline's history file as a listing shows it."""

    key: str
    timeline: int
    sha: str


@dataclass(frozen=True, slots=True)
class StoredDelta:
    """A piece of a segment that was still growing: ``length_bytes`` of it from ``offset_bytes`` on."""

    key: str
    segment: str
    offset_bytes: int
    length_bytes: int
    sha: str
    modified_at: datetime

    @property
    def end_bytes(self) -> int:
        return self.offset_bytes + self.length_bytes


@dataclass(frozen=True, slots=True)
class WalNames:
    """The names and encryption contexts of one cluster's WAL; the same in every repository."""

    target: str
    system_id: str

    @property
    def all_systems(self) -> str:
        """Prefix of the WAL of every cluster that was ever archived under this target."""
        return f"{self.target}/data/wal/"

    @property
    def whole(self) -> str:
        return f"{self.all_systems}{self.system_id}/"

    @property
    def tails(self) -> str:
        return f"{self.target}/tail/{self.system_id}/"

    def timeline(self, timeline: int) -> str:
        """Prefix of the segments of one timeline."""
        return f"{self.whole}{timeline:08X}/"

    def tails_of_timeline(self, timeline: int) -> str:
        return f"{self.tails}{timeline:08X}/"

    def tail(self, segment: WalSegment) -> str:
        """Prefix of the deltas of one segment."""
        return f"{self.tails_of_timeline(segment.timeline)}{segment.name}/"

    def segment(self, segment: WalSegment, sha256: str) -> str:
        return f"{self.timeline(segment.timeline)}{segment.name}-{sha256[:SHA_DIGITS]}"

    def history(self, timeline: int, sha256: str) -> str:
        return f"{self.histories_of(timeline)}{sha256[:SHA_DIGITS]}"

    def histories_of(self, timeline: int) -> str:
        return f"{self.whole}{timeline:08X}.history-"

    def delta(self, segment: WalSegment, offset_bytes: int, length_bytes: int, sha256: str) -> str:
        return f"{self.tail(segment)}{offset_bytes:08x}-{length_bytes:08x}-{sha256[:SHA_DIGITS]}"

    def segment_context(self, segment: WalSegment) -> dict[str, str]:
        return self._context(segment.timeline, segment.name)

    def stored_context(self, stored: StoredSegment) -> dict[str, str]:
        """Of a segment that a listing shows, whatever its size."""
        return self._context(int(stored.segment[:8], 16), stored.segment)

    def history_context(self, timeline: int) -> dict[str, str]:
        return self._context(timeline, "history")

    def delta_context(self, segment: WalSegment, offset_bytes: int) -> dict[str, str]:
        return {**self._context(segment.timeline, segment.name), "offset": f"{offset_bytes:08x}"}

    def _context(self, timeline: int, segment: str) -> dict[str, str]:
        return {
            "target": self.target,
            "system_id": self.system_id,
            "timeline": f"{timeline:08X}",
            "segment": segment,
        }

    def parse_segment(self, info: ObjectInfo) -> StoredSegment | None:
        """None for what is not a segment under its own timeline's prefix."""
        folder, _, name = info.key.rpartition("/")
        found = _SEGMENT.fullmatch(name)
        if found is None or folder != f"{self.whole}{name[:8]}":
            return None
        return StoredSegment(info.key, found["segment"], found["sha"], info.size_bytes, info.modified_at)

    def parse_history(self, info: ObjectInfo) -> StoredHistory | None:
        found = _HISTORY.fullmatch(info.key.removeprefix(self.whole))
        return StoredHistory(info.key, int(found["timeline"], 16), found["sha"]) if found else None

    def parse_delta(self, info: ObjectInfo) -> StoredDelta | None:
        timeline, _, name = info.key.removeprefix(self.tails).partition("/")
        found = _DELTA.fullmatch(name)
        if found is None or timeline != found["segment"][:8]:
            return None
        return StoredDelta(
            key=info.key,
            segment=found["segment"],
            offset_bytes=int(found["offset"], 16),
            length_bytes=int(found["length"], 16),
            sha=found["sha"],
            modified_at=info.modified_at,
        )


def covering(deltas: Iterable[StoredDelta]) -> tuple[StoredDelta, ...]:
    """The fewest deltas that together hold a segment from its first byte as far as there is no gap.

    Deltas may overlap: a receiver that lost its spool starts the segment over.
    """
    left = sorted(deltas, key=lambda delta: (delta.offset_bytes, -delta.length_bytes))
    chosen: list[StoredDelta] = []
    reached = index = 0
    while True:
        best: StoredDelta | None = None
        while index < len(left) and left[index].offset_bytes <= reached:
            if left[index].end_bytes > max(reached, best.end_bytes if best else 0):
                best = left[index]
            index += 1
        if best is None:
            return tuple(chosen)
        chosen.append(best)
        reached = best.end_bytes


def conflicting(deltas: Iterable[StoredDelta]) -> tuple[StoredDelta, StoredDelta] | None:
    """Two deltas that say they hold the same bytes of a segment, and have other hashes."""
    seen: dict[tuple[int, int], StoredDelta] = {}
    for delta in deltas:
        other = seen.setdefault((delta.offset_bytes, delta.length_bytes), delta)
        if other.sha != delta.sha:
            return other, delta
    return None


def by_segment(stored: Iterable[StoredSegment]) -> Mapping[str, list[StoredSegment]]:
    """By segment name; more than one entry is a conflict."""
    found: dict[str, list[StoredSegment]] = {}
    for one in stored:
        found.setdefault(one.segment, []).append(one)
    return found
