"""A rehearsed disaster: what was planned, what came of it, who signed it off. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 read at run time by what stores it

from backstop.model.measured import CheckedItem, ComponentRecovery, Outcome

CHECKLIST = {
    "restore": "Restore the test database",
    "integrity": "Verify data integrity",
    "functionality": "Test application functionality",
    "permissions": "Check file permissions",
    "configuration": "Validate configuration",
}
"""The monthly checklist, in its order."""


@dataclass(frozen=True, slots=True)
class SignOff:
    """What a person said of a drill.

    :param accepted: it shows what it should, or what it shows is dealt with; False: it must be done again.
    """

    by: str
    at: datetime
    accepted: bool
    remarks: str = ""


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """One drill, from its beginning to its sign-off.

    :param drill_id: ``drill-20261126T190000Z-1f3a``; unique within the target.
    :param scenario: as :class:`~backstop.model.scenario.Scenario` writes it.
    :param seed: what the moment of the disaster was drawn by: the same seed and window give the same moment.
    :param window_begins_at: and :param window_ends_at: between which it was drawn.
    :param disaster_at: the moment; everything later is taken as lost with the original.
    :param left_behind: what could not be torn down, a sentence each; empty: nothing is left.
    :param requested_by: a person or a schedule.
    :param notes: what else somebody should know of it as a whole, a sentence each.
    """

    drill_id: str
    target: str
    scenario: str
    seed: str
    window_begins_at: datetime
    window_ends_at: datetime
    disaster_at: datetime
    began_at: datetime
    ended_at: datetime
    components: tuple[ComponentRecovery, ...]
    checklist: tuple[CheckedItem, ...]
    left_behind: tuple[str, ...] = ()
    requested_by: str = ""
    host: str = ""
    version: str = ""
    sign_off: SignOff | None = None
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Everything is back, every check that could be made passed, nothing is left behind.

        A drill of which nothing was checked has not passed.
        """
        return (
            bool(self.components)
            and any(one.outcome is Outcome.PASSED for one in self.checklist)
            and not any(one.failure for one in self.components)
            and not any(one.outcome in (Outcome.FAILED, Outcome.NOT_DONE) for one in self.checklist)
            and not self.left_behind
        )

    @property
    def objectives_met(self) -> bool | None:
        """None: none is set, or of one it is not known and no other is missed."""
        found = [met for one in self.components for met in (one.rto_met, one.rpo_met)]
        if False in found:
            return False
        asked = [
            met
            for one in self.components
            for objective, met in ((one.rto, one.rto_met), (one.rpo, one.rpo_met))
            if objective is not None
        ]
        return True if asked and None not in asked else None
