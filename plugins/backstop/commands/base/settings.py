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
class FileCopySettings:
    """On the database's own host: the files are read here, and no server sends them.

    :param data_directory: of the running server, as it is seen from here.
    :param database: where the role may execute pg_backup_start and pg_backup_stop.
    :param readers: parts that are read and encoded at the same time.
    """

    data_directory: Path
    database: str = "postgres"
    readers: int = 2


@dataclass(frozen=True, slots=True)
class BaseBackupSettings:
    """How to take a base backup.

    :param staging: folder for ciphertext on its way out, best on the file system of a posix repository.
    :param file_copy: how full ones are read on the database's own host; None: over the network, as the
        incremental ones always are.
    :param verify_checksums: check every page that is read, where the cluster has checksums.
    :param compressors: threads that compress.
    :param wal_timeout: for how long a finished copy waits for the WAL archive.
    :param allow_system_id: of a new cluster that takes the place of the one whose backups lie there.
    """

    staging: Path
    file_copy: FileCopySettings | None = None
    verify_checksums: bool = True
    compressors: int = 2
    part_bytes: int = PART_BYTES
    max_staged_bytes: int = MAX_STAGED_BYTES
    wal_timeout: timedelta = timedelta(minutes=10)
    clock_tolerance: timedelta = timedelta(minutes=5)
    allow_system_id: str | None = None
