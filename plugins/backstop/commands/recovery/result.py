"""What a recovery has made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """A recovered, validated data directory.

    :param data_inode: what was validated: a name alone could come to mean another directory.
    :param last_commit_at: of the newest transaction in it.
    :param seconds: by phase.
    :param replayed_bytes_per_second: of WAL.
    :param relations_checked: indexes that ``amcheck`` looked at; None where no database has it.
    :param healed: copies of WAL that were missing or damaged and came from another repository.
    """

    data: str
    data_inode: int
    system_id: str
    server_version: int
    chain: tuple[str, ...]
    timeline: int
    end_lsn: str
    last_commit_at: datetime | None
    stopped: str
    replayed_bytes: int
    replayed_bytes_per_second: float
    pages_checked: int | None
    tablespaces: dict[int, str]
    seconds: dict[str, float]
    healed: tuple[str, ...]
    warnings: tuple[str, ...]
    relations_checked: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
