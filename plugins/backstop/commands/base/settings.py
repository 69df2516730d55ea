"""What a base backup is told: where to work, how much at a time, how long to wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from backstop.commands.base.parts import PART_BYTES
from backstop.commands.replicate import MAX_STAGED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.wal.holds import WalNeeded
    from backstop.repository.catalog import Repository

    WalHolds: TypeAlias = Callable[[Repository, WalNeeded], bool]
    """Whether a repository holds that WAL; asked again and again."""


@dataclass(frozen=True, slots=True)
class BaseBackupSettings:
    """How to take a base backup.

    :param staging: folder for ciphertext on its way out, best on the file system of a posix repository.
    :param verify_checksums: let the server check every page it reads, where the cluster has checksums.
    :param compressors: threads that compress.
    :param wal_timeout: for how long a finished copy waits for the WAL archive.
    :param allow_system_id: of a new cluster that takes the place of the one whose backups lie there.
    """

    staging: Path
    verify_checksums: bool = True
    compressors: int = 2
    part_bytes: int = PART_BYTES
    max_staged_bytes: int = MAX_STAGED_BYTES
    wal_timeout: timedelta = timedelta(minutes=10)
    clock_tolerance: timedelta = timedelta(minutes=5)
    allow_system_id: str | None = None
