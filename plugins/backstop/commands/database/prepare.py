"""What happens to a restored copy before anyone connects: the target's own SQL, then statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from backstop.errors import RestoreError
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.postgres.connection import ClusterConnection


def prepare_copy(server: ClusterConnection, name: str, after_restore: Sequence[str]) -> None:
    """The target's own SQL (masking, re-applied erasures) as one transaction, then statistics.

    :raises RestoreError: a statement failed.
    """
    with server.with_database(name).connect(application_name="backstop:restore") as session:
        session.execute("RESET search_path")
        # The database may have been set read-only, for everybody but us.
        session.execute("SET default_transaction_read_only = off")
        with session.transaction():
            for number, statement in enumerate(after_restore, start=1):
                try:
                    session.execute(statement.encode())
                except psycopg.Error as error:
                    raise RestoreError(
                        f"restore.after_restore, statement {number}, failed in {name}: "
                        f"{error.diag.message_primary or error}",
                        hint=f"correct it in targets.yaml; {name} is equal to the backup, unprepared",
                    ) from None
        _analyze(session, name)


def _analyze(session: psycopg.Connection[Any], name: str) -> None:
    tables = [str(table) for (table,) in session.execute(load_sql("restore/analyzable"))]
    if not tables:
        return
    try:
        # Autovacuum has found the new tables too. Waiting for it costs a second a table until it is
        # cancelled; what it is at work on, it analyzes itself.
        session.execute(f"ANALYZE (SKIP_LOCKED) {', '.join(tables)}".encode(session.info.encoding))
    except psycopg.Error as error:
        raise RestoreError(
            f"the tables of {name} could not be analyzed: {error.diag.message_primary or error}",
            hint=f"{name} was equal to the backup; mend what is named, then restore again",
        ) from None
