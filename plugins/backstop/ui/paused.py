"""Procedures that are paused: nothing of them is started, by a schedule or by hand, until they no longer are.

Only the API server can ask, as in :mod:`backstop.ui.pools`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TAG = "backstop"
"""Every DAG of Backstop has it."""


def airflow_paused() -> list[str]:
    """The paused DAGs of Backstop that are still in the DAG files, by their ids."""
    from airflow.utils.session import create_session

    with create_session() as session:
        return paused_in(session)


def paused_in(session: Session) -> list[str]:
    """The same of a session with Airflow's database."""
    from airflow.models.dag import DagModel, DagTag
    from sqlalchemy import select

    ours = DagModel.tags.any(DagTag.name == TAG)
    paused = select(DagModel.dag_id).where(DagModel.is_paused, ~DagModel.is_stale, ours)
    return list(session.scalars(paused.order_by(DagModel.dag_id)))
