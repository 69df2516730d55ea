"""What only an ordinary session is told about a replication slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import SourceError

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
    with cluster.connect(connect_timeout_seconds=connect_timeout_seconds) as session:
        row = session.execute(_USE, [slot]).fetchone()
    return SlotUse(bool(row[0]), str(row[1])) if row else None


def given_up(cluster: ClusterConnection, slot: str) -> bool:
    """Whether the server has invalidated the slot, for whatever reason; False when it cannot be asked."""
    try:
        with cluster.connect() as session:
            row = session.execute(_GIVEN_UP, [slot]).fetchone()
    except SourceError:
        return False
    return bool(row and row[0])
