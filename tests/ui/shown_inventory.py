"""An inventory of which a test says what it shows, and whether it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from psycopg import sql

from backstop.repository.findings import Findings
from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.model.finding import Finding
    from backstop.model.observation import Observation
    from backstop.postgres.connection import ClusterConnection


@dataclass(frozen=True)
class ShownInventory:
    """:param connection: the superuser's, to a database of the inventory's own."""

    connection: ClusterConnection

    def __post_init__(self) -> None:
        Inventory(self.connection).migrate()

    def show(
        self, observations: Iterable[Observation], findings: Iterable[Finding] = (), *, now: datetime
    ) -> None:
        """Let these be all that is known."""
        with self.connection.connect() as session:
            session.execute("TRUNCATE public.backup_observation, public.backup_finding")
        for one in findings:
            Findings(self.connection).report(one, now=now)
        Observations(self.connection).store(observations)

    def disappear(self) -> None:
        """Its server lets nobody in, and ends whoever was in."""
        self._admit(False)
        with self._beside().connect() as session:
            session.execute(
                "SELECT pg_catalog.pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity "
                "WHERE datname = %s",
                (self.connection.dbname,),
            )

    def reappear(self) -> None:
        """It is where it was."""
        self._admit(True)

    def _admit(self, whether: bool) -> None:
        with self._beside().connect() as session:
            session.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                    sql.Identifier(self.connection.dbname), sql.Literal(whether)
                )
            )

    def _beside(self) -> ClusterConnection:
        """Another database of its server."""
        return replace(self.connection, dbname="postgres")
