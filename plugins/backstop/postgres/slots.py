"""What only an ordinary session is told about a replication slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import SourceError

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

_GIVEN_UP = """
-- Has the server given up the slot? One that was idle for too long keeps its position, but no WAL.
SELECT wal_status = 'lost' FROM pg_catalog.pg_replication_slots WHERE slot_name = %s
"""


def given_up(cluster: ClusterConnection, slot: str) -> bool:
    """Whether the server has invalidated the slot, for whatever reason; False when it cannot be asked."""
    try:
        with cluster.connect() as session:
            row = session.execute(_GIVEN_UP, [slot]).fetchone()
    except SourceError:
        return False
    return bool(row and row[0])
