"""Writes what a run has backed up, proven or removed as the note on it.

A task cannot do that itself: Airflow's task API has no notes. The scheduler calls this when a run ends, with
the run as it is about to store it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

PREFIXES = (
    "back_up_database__",
    "take_base_backup__",
    "back_up_files__",
    "verify_backups__",
    "expire_backups__",
    "run_drill__",
    "recover_from_disaster",
)


@hookimpl  # type: ignore[untyped-decorator]
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    note_changes(dag_run)


@hookimpl  # type: ignore[untyped-decorator]
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    note_changes(dag_run)


def note_changes(dag_run: Any) -> None:
    """Set the note, unless somebody has written one or no task has anything to say.

    What was written here when the run ended before, and a task was cleared, gives way to what it says now.
    """
    if not dag_run.dag_id.startswith(PREFIXES):
        return
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    from backstop.operators.note import NOTE, NOTE_LIMIT

    session = object_session(dag_run)
    if session is None or (dag_run.note and dag_run.dag_run_note.user_id is not None):
        return
    query = (
        select(XComModel.task_id, XComModel.value)
        .where(XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id, XComModel.key == NOTE)
        .order_by(XComModel.timestamp)
    )
    connection = session.connection()
    # What goes wrong here must not take the scheduler's own work back. A savepoint of the session's own would
    # look like a commit to the scheduler, which forbids those while it holds its locks.
    with connection.begin_nested():
        said = connection.execute(query).all()
    # The last task to say something counts; all of it, where it ran for several things.
    texts = [_plain(text) for task, text in said if task == said[-1][0] and isinstance(text, str)]
    if texts:
        dag_run.note = "\n".join(texts)[:NOTE_LIMIT]


def _plain(stored: str) -> str:
    """XCom keeps JSON; some databases give it back as text."""
    import json

    try:
        value = json.loads(stored)
    except ValueError:
        return stored
    return value if isinstance(value, str) else stored
