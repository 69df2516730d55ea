"""The WAL that no base backup needs any more: found by its names, piece by piece, whatever its amount."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.lsn import WalSegment
from backstop.model.retention import WalSeen
from backstop.repository.wal_names import WalNames
from backstop.storage.base import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backstop.model.retention import RetentionPlan
    from backstop.repository.catalog import Repository
    from backstop.storage.base import ObjectVersion


@dataclass(slots=True)
class WalTally:
    """How much WAL goes, or went."""

    objects: int = 0
    stored_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        self.objects += 1
        self.stored_bytes += size_bytes


def wal_seen(repository: Repository) -> dict[str, WalSeen]:
    """By system identifier, what the names of whole segments, histories and pieces tell."""
    found: dict[str, WalSeen] = {}
    for prefix in _prefixes(repository):
        for info in repository.storage.list(prefix):
            system_id, _, rest = info.key[len(prefix) :].partition("/")
            timeline = _timeline(rest)
            if timeline is None:
                continue
            known = found.get(system_id)
            found[system_id] = WalSeen(
                timeline=max(timeline, known.timeline if known else 0),
                stored_at=max(info.modified_at, known.stored_at) if known else info.modified_at,
            )
    return found


def _timeline(rest: str) -> int | None:
    try:
        return int(rest[:8], 16) or None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class UnneededWal:
    """Finds what may go.

    :param plans: all of them must let it go.
    :param segment_bytes: by system identifier; of a cluster that is not there, or whose size is in doubt,
        nothing goes as long as anything of it stays.
    """

    repository: Repository
    plans: tuple[RetentionPlan, ...]
    segment_bytes: Mapping[str, int | None]

    def versions(self) -> Iterator[tuple[str, ObjectVersion]]:
        """With the cluster's system identifier, each version of each object; history files last, and only
        those of clusters of which nothing stays.
        """
        if any(plan.wal is None for plan in self.plans):
            return
        histories: list[tuple[str, ObjectVersion]] = []
        for prefix in _prefixes(self.repository):
            for version in self.repository.storage.versions(prefix):
                system_id = version.key[len(prefix) :].partition("/")[0]
                names = WalNames(self.repository.catalog.target, system_id)
                info = _info(version)
                if names.parse_history(info):
                    if self._ended(system_id):
                        histories.append((system_id, version))
                elif self._may_go(names, info):
                    yield system_id, version
        yield from histories

    def _ended(self, system_id: str) -> bool:
        return all(plan.wal_has_ended(system_id) for plan in self.plans)

    def _may_go(self, names: WalNames, info: ObjectInfo) -> bool:
        named = names.parse_segment(info) or names.parse_delta(info)
        if named is None:
            return False
        if self._ended(names.system_id):
            return True
        size_bytes = self.segment_bytes.get(names.system_id)
        if size_bytes is None:
            return False
        try:
            # All pieces of a segment or none: they are read from its first byte on.
            whole = WalSegment.parse(named.segment, size_bytes=size_bytes)
        except ValueError:
            return False  # no segment of this cluster
        return not any(
            plan.keeps_wal(names.system_id, timeline=whole.timeline, begin=whole.start, end=whole.end)
            for plan in self.plans
        )


def _prefixes(repository: Repository) -> tuple[str, str]:
    target = repository.catalog.target
    return f"{target}/data/wal/", f"{target}/tail/"


def _info(version: ObjectVersion) -> ObjectInfo:
    return ObjectInfo(version.key, version.size_bytes, version.modified_at, version.version_id)
