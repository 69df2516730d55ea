"""Everything about one backup that the inventory knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.recoverability.backups import STATES, component_of, read_stored
from backstop.commands.recoverability.holds import read_holds
from backstop.commands.recoverability.leaving import leaving_of
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from backstop.commands.recoverability.holds import HoldSeen
    from backstop.commands.recoverability.leaving import Policies
    from backstop.model.retention_forecast import Leaving


@dataclass(frozen=True, slots=True)
class Copy:
    """The backup in one repository, as its manifest there says."""

    repository: str
    location: str
    backup_type: str
    kind: str
    status: str
    manifest: str
    manifest_sha256: str
    started_at: datetime
    finished_at: datetime
    stored_bytes: int | None
    plain_bytes: int | None
    objects: int | None
    keys: tuple[str, ...] | None
    system_id: str | None
    server_version: int | None
    database: str | None
    summary: Mapping[str, Any] | None
    proven_at: datetime | None
    expiry_reasons: tuple[str, ...] | None
    expired_at: datetime | None
    indexed_at: datetime | None

    @property
    def state(self) -> str:
        """In words."""
        return STATES.get(self.status, self.status)


@dataclass(frozen=True, slots=True)
class ProofSeen:
    """One verification."""

    repository: str
    started_at: datetime
    finished_at: datetime
    matched: bool
    differences: tuple[str, ...]
    seconds: Mapping[str, float]
    checks: Mapping[str, Any]
    server_version: int
    isolation: str
    host: str
    signing_key: str | None


@dataclass(frozen=True, slots=True)
class BackupView:
    """One backup in every repository that has or had it.

    :param leaving: by repository, when it probably goes, and what keeps it.
    """

    target: str
    label: str
    copies: tuple[Copy, ...]
    proofs: tuple[ProofSeen, ...]
    holds: tuple[HoldSeen, ...]
    leaving: Mapping[str, Leaving] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From its start to its first publication."""
        return min((one.finished_at - one.started_at).total_seconds() for one in self.copies)


def read_backup(
    session: psycopg.Connection[tuple[Any, ...]],
    target: str,
    label: str,
    *,
    policies: Policies,
    now: datetime,
) -> BackupView | None:
    """None: the inventory has no such backup."""
    which = {"target": target, "label": label}
    copies = tuple(
        Copy(*row) for row in session.execute(load_sql("recoverability/backup").encode(), which).fetchall()
    )
    if not copies:
        return None
    proofs = session.execute(load_sql("recoverability/proofs").encode(), which).fetchall()
    holds = read_holds(session, target, now=now)
    alike = [
        one
        for one in read_stored(session, target, since=now + timedelta(days=1))
        if one.is_there and one.component == component_of(label)
    ]
    return BackupView(
        target,
        label,
        copies,
        tuple(ProofSeen(*row) for row in proofs),
        tuple(one for one in holds if one.label == label),
        leaving_of(label, alike, holds, policies=policies, now=now),
    )
