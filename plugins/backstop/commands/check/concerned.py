"""Which backups cannot be restored because of damaged objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.check.wanted import wal_named
from backstop.errors import IntegrityError
from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, Lsn, WalSegment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from backstop.model.backup import BackupLabel, Manifest
    from backstop.repository.catalog import Repository


@dataclass(slots=True)
class Concerned:
    """What one damaged object costs.

    :param lost: backups that cannot be restored from this repository.
    :param cut: base backups that can be recovered, but not past this WAL.
    """

    lost: list[BackupLabel] = field(default_factory=list)
    cut: list[BackupLabel] = field(default_factory=list)


def concerned_backups(
    repository: Repository, keys: Collection[str], *, removed: Collection[str] = ()
) -> dict[str, Concerned]:
    """By key; what nothing needs any more, because its backup has expired meanwhile, is not in it.

    Reads every manifest again, one at a time.

    :param removed: WAL that was taken away to be healed: it is needed although it is not there.
    """
    found = {key: Concerned() for key in keys if _is_wal_here(repository, key, removed)}
    segments = dict(_segments(repository.catalog.target, found))
    chains: dict[BackupLabel, list[str]] = {}
    for manifest in _manifests(repository):
        for stored in manifest.objects:
            if stored.key in keys:
                found.setdefault(stored.key, Concerned()).lost.append(manifest.label)
                chains.setdefault(manifest.label, []).append(stored.key)
        for key, (system_id, segment) in segments.items():
            if manifest.kind.physical and manifest.system_id == system_id:
                _wal_concerns(manifest, segment, found[key])
    # An incremental backup lists its own objects alone, and needs its whole chain; a tree lists everything.
    for manifest in _manifests(repository) if chains else ():
        for parent in manifest.refers_to if manifest.kind.physical else ():
            for key in chains.get(parent, ()):
                found[key].lost.append(manifest.label)
    return found


def _is_wal_here(repository: Repository, key: str, removed: Collection[str]) -> bool:
    if wal_named(repository.catalog.target, key) is None:
        return False
    return key in removed or any(info.key == key for info in repository.storage.list(key))


def _manifests(repository: Repository) -> Iterator[Manifest]:
    for published in repository.catalog.each():
        if not isinstance(published, IntegrityError):
            yield published.manifest


def _segments(target: str, keys: Collection[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for key in keys:
        named = wal_named(target, key)
        if named is not None and named.segment:
            yield key, (named.system_id, named.segment)


def _wal_concerns(manifest: Manifest, name: str, concerned: Concerned) -> None:
    if manifest.start_lsn is None or manifest.end_lsn is None:
        return
    size_bytes = int(manifest.summary.get("wal_segment_bytes", DEFAULT_SEGMENT_BYTES))
    segment = WalSegment.parse(name, size_bytes=size_bytes)
    if segment.timeline < (manifest.timeline or 1) or segment.end <= Lsn.parse(manifest.start_lsn):
        return
    if segment.timeline == manifest.timeline and segment.start < Lsn.parse(manifest.end_lsn):
        concerned.lost.append(manifest.label)
    else:
        concerned.cut.append(manifest.label)
