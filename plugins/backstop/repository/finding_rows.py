"""A finding as a row of ``backup_finding``, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backstop.model.finding import CHECKS, Finding, Level
from backstop.model.finding_state import OpenFinding, Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Row:
    """A finding and its number in the table."""

    id: int
    state: OpenFinding


def from_rows(rows: Iterable[tuple[Any, ...]]) -> list[Row]:
    """Of what the ``findings_*`` questions return; a check of another version of Backstop is left out."""
    return [_from_row(*row) for row in rows if row[2] in CHECKS]


def to_row(state: OpenFinding) -> dict[str, Any]:
    """The parameters of ``insert_finding`` and ``update_finding``."""
    finding = state.finding
    return {
        "target": finding.target,
        "check_name": finding.check,
        "subject": finding.subject,
        "level": finding.level.value,
        "sentence": finding.sentence,
        "next_step": finding.next_step,
        "opened_at": state.opened_at,
        "level_since": state.level_since,
        "last_seen_at": state.last_seen_at,
        "absent_since": state.absent_since,
        "closed_at": state.closed_at,
        "reopenings": state.reopenings,
        "facts": json.dumps(dict(state.facts)),
    }


def told_to_row(state: OpenFinding) -> dict[str, Any]:
    """The parameters of ``mark_told``."""
    told = {
        channel: {"at": one.at.isoformat(), "level": one.level.value, "ended": one.ended}
        for channel, one in state.told.items()
    }
    return {
        "told": json.dumps(told),
        "announced_at": state.announced_at,
        "announced_level": state.announced_level and state.announced_level.value,
        "announcements": state.announcements,
    }


def _from_row(
    number: int,
    target: str,
    check: str,
    subject: str,
    level: str,
    sentence: str,
    next_step: str,
    opened_at: datetime,
    level_since: datetime,
    last_seen_at: datetime,
    absent_since: datetime | None,
    closed_at: datetime | None,
    reopenings: int,
    announced_at: datetime | None,
    announced_level: str | None,
    announcements: int,
    told: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> Row:
    state = OpenFinding(
        finding=Finding(target, check, subject, Level(level), sentence, next_step),
        opened_at=opened_at,
        level_since=level_since,
        last_seen_at=last_seen_at,
        absent_since=absent_since,
        closed_at=closed_at,
        reopenings=reopenings,
        announced_at=announced_at,
        announced_level=Level(announced_level) if announced_level else None,
        announcements=announcements,
        told={
            channel: Told(datetime.fromisoformat(one["at"]), Level(one["level"]), bool(one["ended"]))
            for channel, one in told.items()
        },
        facts=facts,
    )
    return Row(number, state)
