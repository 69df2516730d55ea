"""Which migrations this release knows, and a connection that refuses an inventory with others."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from backstop import __version__
from backstop.errors import InventoryTooNewError
from backstop.postgres.connection import ClusterConnection, source_errors
from backstop.sql import load_sql

if TYPE_CHECKING:
    import psycopg

MIGRATIONS = (
    "0001_backup_inventory",
    "0002_backup_proof",
    "0003_holds_and_expiry",
    "0004_watching",
    "0005_watched_manifests",
    "0006_findings_told",
    "0007_drills",
    "0008_observed_loss",
    "0009_decisions",
    "0010_key_canary",
)
"""Applied in this order, each once; every one can be run again without harm. One that was released never
changes: what is wrong with it the next one mends."""


@dataclass(frozen=True)
class InventoryDatabase(ClusterConnection):
    """The database of the inventory. Every session first looks whether a newer Backstop has migrated it."""

    @classmethod
    def of(cls, connection: ClusterConnection) -> InventoryDatabase:
        """The same database; itself where it is one already."""
        if isinstance(connection, cls):
            return connection
        return cls(**{one.name: getattr(connection, one.name) for one in fields(ClusterConnection)})

    def connect(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """As of every database. :raises InventoryTooNewError: a newer Backstop has migrated it."""
        session = super().connect(**options)
        try:
            self._refuse_newer(session)
        except BaseException:
            session.close()
            raise
        return session

    def _refuse_newer(self, session: psycopg.Connection[tuple[Any, ...]]) -> None:
        import psycopg

        location = f"inventory {self.location}"
        with source_errors(location, secret=self.password):
            try:
                rows = session.execute(
                    load_sql("inventory/unknown_migrations").encode(), {"known": list(MIGRATIONS)}
                ).fetchall()
            except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
                rows = []  # not made yet; or whatever is asked next says what this role may not do
            session.rollback()
        if rows:
            names = ", ".join(name for (name,) in rows)
            raise InventoryTooNewError(
                f"{location} was migrated by a newer Backstop ({names}); this is Backstop {__version__}",
                hint="upgrade this Backstop, too (docs/upgrading.md); or give it an inventory of its own, "
                "and fill it with `python -m backstop rebuild-inventory`",
            )
