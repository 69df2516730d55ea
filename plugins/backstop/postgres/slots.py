"""What only an ordinary session is told about a replication slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import SourceError
from backstop.postgres.connection import source_errors

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

_GIVEN_UP = """
-- Has the server given up the slot? One that was idle for too long keeps its position, but no WAL.
SELECT wal_status = 'lost' FROM pg_catalog.pg_replication_slots WHERE slot_name = %s
"""

_USE = """
-- Who uses the slot, and what does the server promise it?
SELECT active, coalesce(wal_status, '') FROM pg_catalog.pg_replication_slots WHERE slot_name = %s
"""

_HOLDER = """
-- Who streams from the slot?
SELECT concat_ws(' ', 'process', activity.pid, activity.application_name, 'at', activity.client_addr)
FROM pg_catalog.pg_replication_slots AS slots
JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = slots.active_pid
WHERE slots.slot_name = %s
"""


@dataclass(frozen=True, slots=True)
class SlotUse:
    """:param active: somebody receives from it now.
    :param wal_status: ``reserved``, ``extended``, ``unreserved`` (about to be given up) or ``lost``.
    """

    active: bool
    wal_status: str


def slot_use(cluster: ClusterConnection, slot: str, *, connect_timeout_seconds: int = 10) -> SlotUse | None:
    """How the slot is used; None when there is none.

    :raises SourceError: the server cannot be asked, or lets this role only replicate.
    """
    row = _ask(cluster, _USE, slot, connect_timeout_seconds=connect_timeout_seconds)
    return SlotUse(bool(row[0]), str(row[1])) if row else None


def given_up(cluster: ClusterConnection, slot: str) -> bool:
    """Whether the server has invalidated the slot, for whatever reason; False when it cannot be asked."""
    try:
        row = _ask(cluster, _GIVEN_UP, slot)
    except SourceError:
        return False
    return bool(row and row[0])


def held_by(cluster: ClusterConnection, slot: str) -> str:
    """Who receives from the slot; empty when nobody does, or it cannot be asked."""
    try:
        row = _ask(cluster, _HOLDER, slot)
    except SourceError:
        return ""
    return str(row[0]) if row else ""


def _ask(
    cluster: ClusterConnection, query: str, slot: str, *, connect_timeout_seconds: int = 10
) -> tuple[Any, ...] | None:
    with (
        source_errors(cluster.location, secret=cluster.password),
        cluster.connect(connect_timeout_seconds=connect_timeout_seconds) as session,
    ):
        return session.execute(query.encode(), [slot]).fetchone()
