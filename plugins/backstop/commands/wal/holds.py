"""Whether a repository holds the WAL that a base backup needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.repository.wal_archive import WalArchive, archived_position

if TYPE_CHECKING:
    from backstop.model.lsn import Lsn
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True)
class WalNeeded:
    """The WAL without which a copy cannot be recovered: of one timeline, from ``start`` to before ``end``."""

    system_id: str
    timeline: int
    segment_bytes: int
    start: Lsn
    end: Lsn


@dataclass(frozen=True, slots=True)
class WalHeld:
    """Asks the archive of this target, by names alone."""

    target: str

    def __call__(self, repository: Repository, needed: WalNeeded) -> bool:
        """:raises IntegrityError: some of it is there with two contents; :raises StorageError: no answer."""
        archive = WalArchive(repository.storage, self.target, needed.system_id)
        reached = archived_position(
            archive, timeline=needed.timeline, segment_bytes=needed.segment_bytes, start=needed.start
        )
        return reached >= needed.end
