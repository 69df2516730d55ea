"""What must stay, whatever retention says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 a field's type
from typing import TYPE_CHECKING, Any

from backstop.sql import load_sql

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class HoldSeen:
    """One hold in force.

    :param until: None: until somebody releases it.
    :param damage: why its document cannot be believed; it is in force then.
    """

    label: str
    repositories: tuple[str, ...]
    reason: str
    who: str
    placed_at: datetime | None
    until: datetime | None
    damage: str | None = None


def read_holds(
    session: psycopg.Connection[tuple[Any, ...]], target: str, *, now: datetime, label: str | None = None
) -> tuple[HoldSeen, ...]:
    """Those in force, of one backup or of all, newest backups first."""
    rows = session.execute(
        load_sql("recoverability/holds").encode(), {"target": target, "label": label, "now": now}
    ).fetchall()
    return tuple(
        HoldSeen(name, tuple(repositories), reason, who, placed_at, None if forever else until, damage)
        for name, repositories, reason, who, placed_at, until, forever, damage in rows
    )
