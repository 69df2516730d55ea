"""What became of one backup, for whoever asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

COPIED_IN_WORDS = {"network": "sent by the server", "files": "read on its host"}
"""How the files of a base backup were copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is told of a backup of any kind.

    :param repositories: by name, ``completed`` or the sentence that says why not.
    """

    label: str
    target: str
    started_at: datetime
    finished_at: datetime
    repositories: Mapping[str, str]
    plain_bytes: int
    stored_bytes: int
    not_included: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every repository has it."""
        return all(state == "completed" for state in self.repositories.values())

    def to_dict(self) -> dict[str, Any]:
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **{name: list(value) if isinstance(value, tuple) else value for name, value in document.items()},
            "started_at": format_time(self.started_at),
            "finished_at": format_time(self.finished_at),
            "seconds": round((self.finished_at - self.started_at).total_seconds(), 3),
            "repositories": dict(self.repositories),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport(Report):
    """What became of one dump.

    :param yielded: how often the backup gave way to the application and started again.
    """

    tables: int
    rows: int
    snapshot_seconds: float
    yielded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseBackupReport(Report):
    """What became of one base backup.

    :param parent: label of the backup that an incremental one builds on.
    :param copied: ``network``: the server sent it; ``files``: read on the server's own host.
    :param end_lsn: recovery can end at any position from here on, by the archive's WAL.
    """

    kind: str
    parent: str | None
    files: int
    tablespaces: int
    system_id: str
    timeline: int
    start_lsn: str
    end_lsn: str
    copied: str
    copy_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeBackupReport(Report):
    """What became of one backup of a file tree.

    :param plain_bytes: of all files; :param stored_bytes: of what this backup had to store.
    :param new_files: ``changed_files`` and ``removed_files``: against the backup before; folders do not
        count, nor does a file of which nothing but its times is different.
    :param skewed: files that kept changing while they were read.
    :param changes: the first of them, such as ``added /srv/media/x``.
    """

    tree: str
    files: int
    new_files: int
    changed_files: int
    removed_files: int
    skewed: tuple[str, ...]
    warnings: tuple[str, ...]
    changes: tuple[str, ...]
