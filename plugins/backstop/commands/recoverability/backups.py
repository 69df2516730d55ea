"""The backups of a target as the inventory has them: one row a backup and repository."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 a field's type
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstop.model.backup import BackupLabel
from backstop.sql import load_sql

if TYPE_CHECKING:
    import psycopg

STATES = {
    "proven": "proven",
    "completed": "not proven yet",
    "failed": "verification failed",
    "expiring": "being removed",
    "expired": "expired",
    "missing": "missing",
}
"""The column ``status`` in words."""


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """One backup in one repository.

    :param status: as the column has it: a key of :data:`STATES`.
    """

    label: str
    repository: str
    started_at: datetime
    finished_at: datetime
    stored_bytes: int
    plain_bytes: int
    status: str
    proven_at: datetime | None
    expired_at: datetime | None

    @property
    def is_there(self) -> bool:
        """Whether a restore could read it."""
        return self.status in ("proven", "completed", "failed")

    @property
    def component(self) -> str:
        """``dump``, ``base``, ``tree:<name>``."""
        return component_of(self.label)

    @property
    def state(self) -> str:
        """In words."""
        return STATES.get(self.status, self.status)


@lru_cache(4096)
def component_of(label: str) -> str:
    """What a backup of this label is one of: ``dump``, ``base``, ``tree:<name>``; a page asks often."""
    return BackupLabel(label).component


def read_stored(
    session: psycopg.Connection[tuple[Any, ...]], target: str, *, since: datetime
) -> tuple[StoredBackup, ...]:
    """All that are there, and all that were made since then, oldest first."""
    rows = session.execute(
        load_sql("recoverability/backups").encode(), {"target": target, "since": since}
    ).fetchall()
    return tuple(StoredBackup(*row) for row in rows)
