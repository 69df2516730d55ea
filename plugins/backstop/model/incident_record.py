"""A real disaster, from its declaration to its end: its journal, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 read at run time by what stores it
from dataclasses import dataclass, field
from datetime import datetime, timedelta  # noqa: TC003 read at run time by what stores it
from typing import Any

from backstop.model.incident import Event, waited
from backstop.model.measured import CheckedItem, ComponentRecovery, Outcome

VALIDATION = {
    "functionality": "Test functionality",
    "consistency": "Verify data consistency",
    "integrations": "Check integrations",
}
"""What the disaster plan wants validated, in its order."""


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """One incident.

    :param what: is lost, in the words of whoever declared it.
    :param declared_at: when the clock of the objectives started.
    :param ended_at: when it was closed; None: it goes on.
    :param outcome: in the words of whoever closed it; empty while it goes on.
    :param events: the whole journal, merged over the repositories, oldest first.
    :param components: that were to be brought back, in order.
    :param checklist: the validation.
    :param assessment: the last one, and :param plan: that was chosen, as commands/disaster makes them; empty:
        it did not come so far.
    """

    incident_id: str
    target: str
    what: str
    declared_by: str
    declared_at: datetime
    ended_at: datetime | None
    outcome: str
    events: tuple[Event, ...]
    components: tuple[ComponentRecovery, ...] = ()
    checklist: tuple[CheckedItem, ...] = ()
    assessment: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    host: str = ""
    version: str = ""

    @property
    def recovered(self) -> bool:
        """Everything is back, and whatever was validated passed."""
        return (
            bool(self.components)
            and not any(one.failure for one in self.components)
            and not any(one.outcome in (Outcome.FAILED, Outcome.NOT_DONE) for one in self.checklist)
        )

    def waited(self, *, now: datetime) -> timedelta:
        """How long people were waited for, up to its end or ``now``."""
        return waited(list(self.events), now=self.ended_at or now)
