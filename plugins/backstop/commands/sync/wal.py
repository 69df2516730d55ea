"""Copies WAL that one repository lacks: histories, whole segments, pieces of what never became whole.

WAL needs no lease, since its names say what it holds (docs/format.md, "WAL"). Where two repositories hold
other bytes under one name of PostgreSQL's, neither is copied: which is the right one, nobody here can know.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.object_copy import ObjectToCopy
from backstop.commands.sync.report import Lacking, shortened
from backstop.commands.sync.transfers import Item, Transferred
from backstop.errors import BackstopError, ObjectMissingError
from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, WalSegment
from backstop.model.retention import WalSeen
from backstop.repository.wal_names import WalNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.sync.report import RepositorySync
    from backstop.commands.sync.transfers import Transfers
    from backstop.repository.catalog import Repository
    from backstop.storage.base import ObjectInfo

_HISTORY, _SEGMENT, _PIECE = range(3)  # the order in which they are copied


@dataclass(frozen=True, order=True, slots=True)
class _Content:
    """What of a cluster's WAL an object holds, whoever wrote it.

    :param name: of a segment, or of a timeline's history in its eight digits.
    :param place: offset and length of a piece.
    """

    kind: int
    system_id: str
    name: str
    place: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        if self.kind == _HISTORY:
            return f"history {self.name} of cluster {self.system_id}"
        piece = f", {self.place[1]} bytes at {self.place[0]}," if self.kind == _PIECE else ""
        return f"WAL segment {self.name}{piece} of cluster {self.system_id}"


@dataclass(frozen=True, slots=True)
class StoredWal:
    """All WAL of a target in one repository, by key."""

    repository: Repository
    objects: Mapping[str, ObjectInfo]


@dataclass(frozen=True, slots=True)
class WalPlan:
    """What to copy, in order, and what nobody may decide."""

    items: tuple[Item, ...]
    conflicts: tuple[Lacking, ...]

    @property
    def stored_bytes(self) -> int:
        return sum(item.offers[0][1].stored_bytes for item in self.items)


def list_wal(repository: Repository) -> StoredWal:
    """By names alone. :raises StorageError: the repository does not answer."""
    target = repository.catalog.target
    prefixes = (f"{target}/data/wal/", f"{target}/tail/")
    found = (info for prefix in prefixes for info in repository.storage.list(prefix))
    return StoredWal(repository, {info.key: info for info in found})


def wal_seen(stored: Iterable[StoredWal]) -> dict[str, WalSeen]:
    """What the names in all these repositories tell of each cluster: newest timeline, and when.

    It came when the first of them got it. A copy is no sign of life of a cluster: else each would let its
    backups come back that another cluster's have replaced.
    """
    came: dict[_Content, datetime] = {}
    for one in stored:
        for info in one.objects.values():
            if parsed := _parse(info, one.repository.catalog.target):
                came[parsed[0]] = min(info.modified_at, came.get(parsed[0], info.modified_at))
    newest: dict[str, WalSeen] = {}
    for content, stored_at in came.items():
        timeline = int(content.name[:8], 16)
        known = newest.get(content.system_id, WalSeen(timeline, stored_at))
        newest[content.system_id] = WalSeen(max(known.timeline, timeline), max(known.stored_at, stored_at))
    return newest


def plan_wal(
    destination: StoredWal,
    sources: Sequence[StoredWal],
    *,
    keeps: Callable[[str, WalSegment], bool],
    ended: Callable[[str], bool],
    segment_bytes: Mapping[str, int],
) -> WalPlan:
    """What the destination lacks and keeps.

    :param keeps: whether the destination keeps a segment of a cluster's WAL.
    :param ended: whether it keeps none of it, and no histories either.
    :param segment_bytes: size of a segment, by cluster, where a base backup has said so.
    """
    target = destination.repository.catalog.target
    contents: dict[_Content, dict[str, str]] = defaultdict(dict)
    for stored in (destination, *sources):
        for key, info in stored.objects.items():
            if parsed := _parse(info, target):
                contents[parsed[0]].setdefault(parsed[1], key)
    whole = {(one.system_id, one.name) for one in contents if one.kind == _SEGMENT}
    items: list[Item] = []
    conflicts: list[Lacking] = []
    for content in sorted(contents):
        by_sha = contents[content]
        if len(by_sha) > 1:
            conflicts.append(_conflict(content, by_sha.values()))
            continue
        key = next(iter(by_sha.values()))
        superfluous = content.kind == _PIECE and (content.system_id, content.name) in whole
        if key in destination.objects or superfluous or ended(content.system_id):
            continue
        if not _kept(content, keeps, segment_bytes):
            continue
        offers = tuple(
            (one.repository, ObjectToCopy(key, one.objects[key].size_bytes))
            for one in sources
            if key in one.objects
        )
        items.append(Item(key, offers, by_content=True))
    return WalPlan(tuple(items), tuple(shortened(conflicts, "WAL")))


def copy_wal(plan: WalPlan, transfers: Transfers, report: RepositorySync) -> None:
    """Histories first, then oldest first, so that no recovery meets a gap that a later run would fill.

    :raises StorageError: the destination fails.
    """
    done = Transferred()
    try:
        transfers.run(plan.items, done, all_or_nothing=False)
    finally:
        report.wal_objects += done.copied
        report.stored_bytes += done.copied_bytes
    offers = {item.key: item.offers for item in plan.items}
    lacking = [
        Lacking(f"WAL {key}", str(error), retryable=error.retryable)
        for key, error in done.failures.items()
        if not (isinstance(error, ObjectMissingError) and _has_gone(key, offers[key]))
    ]
    report.lacking += shortened(lacking, "WAL")


def _has_gone(key: str, offers: Sequence[tuple[Repository, ObjectToCopy]]) -> bool:
    """Whether no source has it any more: the segment of a piece became whole, or retention let it go."""
    try:
        return not any(info.key == key for source, _ in offers for info in source.storage.list(key))
    except BackstopError:
        return False


def _parse(info: ObjectInfo, target: str) -> tuple[_Content, str] | None:
    """What an object holds, and its hash; None: nothing of ours."""
    parts = info.key.removeprefix(f"{target}/").split("/")
    system_id = parts[1] if parts[0] == "tail" else parts[2] if len(parts) > 2 else ""
    if not system_id:
        return None
    names = WalNames(target, system_id)
    if parts[0] == "tail":
        if piece := names.parse_delta(info):
            place = (piece.offset_bytes, piece.length_bytes)
            return _Content(_PIECE, system_id, piece.segment, place), piece.sha
        return None
    if segment := names.parse_segment(info):
        return _Content(_SEGMENT, system_id, segment.segment), segment.sha
    if history := names.parse_history(info):
        return _Content(_HISTORY, system_id, f"{history.timeline:08X}"), history.sha
    return None


def _kept(
    content: _Content, keeps: Callable[[str, WalSegment], bool], segment_bytes: Mapping[str, int]
) -> bool:
    """A history is kept as long as anything of its cluster: it is small, and recoveries along it need it."""
    if content.kind == _HISTORY:
        return True
    size = segment_bytes.get(content.system_id, DEFAULT_SEGMENT_BYTES)
    try:
        segment = WalSegment.parse(content.name, size_bytes=size)
    except ValueError:
        return True  # of clusters whose segments have a size that nobody told us
    return keeps(content.system_id, segment)


def _conflict(content: _Content, keys: Iterable[str]) -> Lacking:
    return Lacking(
        str(content),
        f"it is stored with several contents ({' and '.join(sorted(keys))}): two servers wrote under this "
        "target; find out which is the real one, and take a new base backup of it",
    )
