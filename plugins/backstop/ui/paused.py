"""Procedures that are paused: their schedule starts nothing, and a run that somebody triggers waits for ever.

Only the API server can ask, as in :mod:`backstop.ui.pools`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.procedure import target_of_dag

if TYPE_CHECKING:
    from collections.abc import Collection

    from backstop.ui.auth import Viewer

TAG = "backstop"
"""Every DAG of Backstop has it."""


def airflow_paused() -> list[str]:
    """The paused DAGs of Backstop that are still in the DAG files, by their ids."""
    from airflow.models.dag import DagModel, DagTag
    from airflow.utils.session import create_session
    from sqlalchemy import select

    paused = (
        select(DagModel.dag_id)
        .where(DagModel.is_paused, ~DagModel.is_stale, DagModel.tags.any(DagTag.name == TAG))
        .order_by(DagModel.dag_id)
    )
    with create_session() as session:
        return list(session.scalars(paused))


def seen_by(viewer: Viewer, paused: Collection[str]) -> list[str]:
    """Those that are about targets the viewer may look at; about no single target: only who may see all."""
    return [one for one in paused if viewer.sees_all or target_of_dag(one, viewer.targets) is not None]
