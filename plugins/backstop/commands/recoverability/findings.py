"""What is found wrong now, and what was lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 a field's type
from typing import TYPE_CHECKING, Any

from backstop.model.finding import CHECKS, Finding, Level
from backstop.sql import load_sql

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class FindingSeen:
    """A finding with its dates; open while ``closed_at`` is None.

    :param reopenings: how often it came back before it could close.
    """

    finding: Finding
    opened_at: datetime
    level_since: datetime
    last_seen_at: datetime
    reopenings: int
    closed_at: datetime | None


def read_findings(
    session: psycopg.Connection[tuple[Any, ...]],
    *,
    target: str | None = None,
    closed_since: datetime | None = None,
) -> tuple[FindingSeen, ...]:
    """Those that are open, critical ones first; of one target also those closed since a moment, after them.

    A check of another version of Backstop is left out.
    """
    rows = session.execute(
        load_sql("recoverability/findings").encode(), {"target": target, "closed_since": closed_since}
    ).fetchall()
    return tuple(_seen(row) for row in rows if row[1] in CHECKS)


def _seen(row: tuple[Any, ...]) -> FindingSeen:
    target, check, subject, level, sentence, next_step, *dates, reopenings, closed_at = row
    finding = Finding(target, check, subject, Level(level), sentence, next_step)
    return FindingSeen(finding, *dates, reopenings, closed_at)
