"""Lists everything that a target has stored in a repository: its size, and the names of WAL on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.model.lsn import WalSegment, segments_per_log
from backstop.model.timeline import Histories, StoredHistory
from backstop.model.wal import StoredWal
from backstop.model.wal_tail import TailPiece
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from backstop.crypto.key_encryption import Keyring
    from backstop.repository.catalog import Repository
    from backstop.repository.wal_names import StoredDelta
    from backstop.repository.wal_names import StoredHistory as ListedHistory

_BLOCK, _BLOCK_DIGITS = 256, 2


@dataclass(slots=True)
class Everything:
    """What is stored of one target in one repository.

    :param wal: of the cluster that was asked for.
    """

    stored_bytes: int = 0
    wal: StoredWal | None = None
    histories: list[ListedHistory] = field(default_factory=list)


def list_everything(repository: Repository, *, system_id: str | None, segment_bytes: int) -> Everything:
    """One pass over all names, however many they are; a segment of WAL takes 24 bytes of memory.

    :raises StorageError: the repository does not answer.
    """
    found = Everything()
    target = repository.catalog.target
    # Before the segments: a piece goes once its segment is whole, and must not be missed for that.
    tails: list[TailPiece] = []
    if system_id is not None:
        tails = list(pieces(WalArchive(repository.storage, target, system_id)))
    names = _names(repository, found, system_id)
    found.wal = StoredWal.collect(names, system_id=system_id or "", segment_bytes=segment_bytes, tails=tails)
    found.stored_bytes += sum(info.size_bytes for info in repository.storage.list(f"{target}/tail/"))
    return found


def _names(
    repository: Repository, found: Everything, system_id: str | None
) -> Iterator[tuple[str, str, datetime]]:
    target = repository.catalog.target
    names = WalArchive(repository.storage, target, system_id or "none").names
    for info in repository.storage.list(f"{target}/data/"):
        found.stored_bytes += info.size_bytes
        if system_id is None or not info.key.startswith(names.whole):
            continue
        if segment := names.parse_segment(info):
            yield segment.segment, segment.sha, segment.modified_at
        elif history := names.parse_history(info):
            found.histories.append(history)


def list_from(archive: WalArchive, first: WalSegment) -> StoredWal:
    """The names of a timeline's WAL from about this segment on: blocks of 256, up to one that is empty."""
    # Before the segments, as above.
    tails = list(pieces(archive, timeline=first.timeline))
    block = min(_BLOCK, segments_per_log(first.size_bytes))
    segments: list[tuple[str, str, datetime]] = []
    number = first.number // block * block
    while True:
        beginning = WalSegment(first.timeline, number, first.size_bytes).name[:-_BLOCK_DIGITS]
        listed = archive.segments(first.timeline, beginning=beginning)
        here = [(one.segment, one.sha, one.modified_at) for one in listed]
        segments += here
        if not here and number > first.number:
            break
        number += block
    return StoredWal.collect(
        segments, system_id=archive.names.system_id, segment_bytes=first.size_bytes, tails=tails
    )


def pieces(archive: WalArchive, *, timeline: int | None = None) -> Iterator[TailPiece]:
    """Of growing segments; by default of every timeline."""
    listed: Iterable[StoredDelta]
    if timeline is not None:
        listed = archive.tails(timeline)
    else:
        every = archive.storage.list(archive.names.tails)
        listed = (delta for info in every if (delta := archive.names.parse_delta(info)))
    for found in listed:
        yield TailPiece(
            segment=found.segment,
            offset=found.offset_bytes,
            length=found.length_bytes,
            sha16=found.sha,
            stored_at=found.modified_at,
        )


def read_histories(
    repository: Repository, listed: Iterable[ListedHistory], *, system_id: str, keyring: Keyring | None
) -> tuple[Histories, str]:
    """Those that were listed, and in words why some could not be read now; empty when all were judged."""
    archive = WalArchive(repository.storage, repository.catalog.target, system_id)
    stored: list[StoredHistory] = []
    problem = ""
    for found in listed:
        if keyring is None:
            problem = "this machine has no key that opens histories of timelines"
            continue
        try:
            content = archive.read_history(found.timeline, keyring=keyring)
        except BackstopError as error:
            if error.retryable:
                problem = error.message
                continue
            # Known to exist and not to be used: the model says so where it matters.
            content = b"unreadable: " + found.sha.encode()
        stored.append(StoredHistory(found.timeline, found.sha, content))
    return Histories.read(stored), problem
