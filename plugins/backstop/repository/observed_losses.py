"""Where the inventory keeps what each watch saw to be at risk: a drill asks later what was at stake then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.postgres.connection import source_errors
from backstop.sql import load_sql

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from backstop.model.observation import Observation
    from backstop.repository.inventory import Inventory

KEPT = timedelta(days=100)
"""Longer than most WAL is kept: 29,000 rows a repository."""


def enter_losses(session: psycopg.Connection[tuple[Any, ...]], observation: Observation) -> None:
    """Those of one watch of one target; what is too old goes."""
    if observation.wal is None:
        return
    for repository, loss in observation.wal.observed_rpo.items():
        session.execute(
            load_sql("inventory/insert_observed_loss").encode(),
            {
                "target": observation.target,
                "repository": repository,
                "observed_at": observation.observed_at,
                "seconds": None if loss is None else loss.total_seconds(),
            },
        )
    session.execute(
        load_sql("inventory/drop_observed_losses").encode(),
        {"target": observation.target, "before": observation.observed_at - KEPT},
    )


def losses_around(
    inventory: Inventory, target: str, repository: str, moment: datetime, *, within: timedelta
) -> list[tuple[datetime, timedelta | None]]:
    """When somebody looked, and at most how much would have been lost then; None: it could not be told.

    :raises SourceUnavailableError: the inventory does not answer.
    """
    connection = inventory.connection
    asked = {
        "target": target,
        "repository": repository,
        "begins_at": moment - within,
        "ends_at": moment + within,
    }
    with (
        source_errors(f"inventory {connection.location}", secret=connection.password),
        connection.connect(application_name="backstop:drill") as session,
    ):
        rows = session.execute(load_sql("inventory/observed_losses").encode(), asked).fetchall()
    return [(at, None if seconds is None else timedelta(seconds=seconds)) for at, seconds in rows]
