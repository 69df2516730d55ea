"""What should be in a repository: everything that trusted manifests name, and its WAL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from backstop.errors import IntegrityError
from backstop.repository.wal_names import WalNames
from backstop.storage.base import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backstop.model.backup import StoredObject
    from backstop.model.rotation import Arc
    from backstop.repository.catalog import Repository

_ANY_TIME = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Wanted(NamedTuple):
    """One object that must be readable.

    :param stored_sha256: of its bytes; None for WAL, which no manifest names: ``sha`` begins the SHA-256 of
        its plaintext, and stands in its name.
    :param stored_bytes: as the manifest says; of WAL, as the listing does.
    """

    key: str
    stored_bytes: int
    stored_sha256: str | None
    version_id: str | None
    sha: str = ""

    @property
    def is_wal(self) -> bool:
        return self.stored_sha256 is None

    @classmethod
    def of(cls, stored: StoredObject) -> Wanted:
        return cls(stored.key, stored.stored_bytes, stored.stored_sha256, stored.version_id)


@dataclass(slots=True)
class WantedObjects:
    """The part of them that lies in an arc, in its order.

    :param unreadable: manifests that cannot be trusted: what only they name is not looked at.
    """

    objects: list[Wanted] = field(default_factory=list)
    unreadable: list[IntegrityError] = field(default_factory=list)


def wanted_objects(repository: Repository, arc: Arc) -> WantedObjects:
    """What to read; packs that several backups share once. Never nothing, unless the repository has nothing.

    In memory is what lies in the arc, and one manifest.
    """
    found = WantedObjects()
    inside: dict[Wanted, int] = {}
    nearest: tuple[int, Wanted] | None = None
    for one in _all(repository, found.unreadable):
        distance = arc.distance(one.key)
        if distance < arc.width:
            inside[one] = distance
        elif nearest is None or distance < nearest[0]:
            nearest = distance, one
    if not inside and nearest is not None:
        inside[nearest[1]] = nearest[0]
    found.objects = sorted(inside, key=lambda one: (inside[one], one.key))
    return found


def _all(repository: Repository, unreadable: list[IntegrityError]) -> Iterator[Wanted]:
    for published in repository.catalog.each():
        if isinstance(published, IntegrityError):
            unreadable.append(published)
        else:
            yield from map(Wanted.of, published.manifest.objects)
    yield from wal_objects(repository)


def wal_objects(repository: Repository, beginning: str = "") -> Iterator[Wanted]:
    """Segments, histories and pieces of growing segments, of every cluster that was archived here.

    :param beginning: only keys that begin so.
    """
    target = repository.catalog.target
    for prefix in [beginning] if beginning else (f"{target}/data/wal/", f"{target}/tail/"):
        for info in repository.storage.list(prefix):
            named = wal_named(target, info.key)
            if named is not None:
                yield Wanted(info.key, info.size_bytes, None, None, named.sha)


def wal_object(target: str, key: str) -> Wanted | None:
    """What should be under that name of WAL; None: it is none."""
    named = wal_named(target, key)
    return Wanted(key, 0, None, None, named.sha) if named else None


class NamedWal(NamedTuple):
    """What the name of a WAL object says.

    :param context: the encryption context it was written with.
    :param segment: its file name; empty for a history.
    :param length_bytes: of a piece.
    """

    system_id: str
    segment: str
    sha: str
    context: Mapping[str, str]
    length_bytes: int | None = None


def wal_named(target: str, key: str) -> NamedWal | None:
    """None when it is not the name of WAL."""
    info = ObjectInfo(key, 0, _ANY_TIME)
    folder, _, rest = key.removeprefix(f"{target}/").partition("/")
    if folder == "data":
        folder, _, rest = rest.partition("/")
    names = WalNames(target, rest.partition("/")[0])
    if folder == "wal" and (segment := names.parse_segment(info)):
        return NamedWal(names.system_id, segment.segment, segment.sha, _context(names, segment.segment))
    if folder == "wal" and (history := names.parse_history(info)):
        return NamedWal(names.system_id, "", history.sha, names.history_context(history.timeline))
    if folder == "tail" and (delta := names.parse_delta(info)):
        context = {**_context(names, delta.segment), "offset": f"{delta.offset_bytes:08x}"}
        return NamedWal(names.system_id, delta.segment, delta.sha, context, delta.length_bytes)
    return None


def _context(names: WalNames, segment: str) -> dict[str, str]:
    # By the name alone: how large the cluster's segments are, no name says.
    return {**names.history_context(int(segment[:8], 16)), "segment": segment}
