"""Series of where backups lie and of what opens them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.metrics import series

if TYPE_CHECKING:
    from backstop.commands.metrics.sheet import Sheet
    from backstop.model.observation import Observation

KEY_STATES = ("usable", "disabled", "pending deletion", "missing", "unknown")


def add_repositories(sheet: Sheet, seen: Observation) -> None:
    """One that does not answer has ``up`` 0 and nothing else that only it can say."""
    for one in seen.repositories:
        labels = (seen.target, one.name)
        sheet.set(series.REPOSITORY_UP, labels, one.reachable)
        sheet.set(series.REPOSITORY_WRITABLE, labels, one.writable)
        sheet.set(series.REPOSITORY_ANSWER, labels, one.answer_seconds)
        sheet.set(series.REPOSITORY_STORED, labels, one.stored_bytes)
        sheet.set(series.REPOSITORY_BACKUPS, labels, one.backups)
        sheet.set(series.REPOSITORY_MISSING, labels, one.missing_objects if one.reachable else None)
        sheet.set(series.REPOSITORY_FREE, labels, one.free_bytes)
        sheet.set(series.REPOSITORY_SIZE, labels, one.total_bytes)


def add_keys(sheet: Sheet, seen: Observation) -> None:
    """Each key that opens backups of the target."""
    for one in seen.keys:
        labels = (seen.target, one.key)
        sheet.state(series.KEY_STATE, labels, one.state, KEY_STATES)
        sheet.set(series.KEY_CREATED, labels, one.created_at)
        sheet.set(series.KEY_ROTATION_DUE, labels, one.rotation_due_at)
        sheet.set(series.KEY_BACKUPS, labels, one.backups)
