"""What a recovery took and lost, held against what was asked for. Pure.

Shared by drills, which rehearse, and incidents, which are real.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta  # noqa: TC003 read at run time by what stores it
from enum import Enum

from backstop.model.observation import ForecastSeen  # noqa: TC001 read at run time by what stores it


class Outcome(str, Enum):
    """Of one item of a checklist, or one step."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    """The target has nothing of the kind; the sentence says so."""
    NOT_DONE = "not done"
    """Something before it failed, or somebody left it out; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a recovery: ``detect``, ``fetch``, ``replay``, ``restore``, ``validate``."""

    name: str
    began_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> float:
        return (self.ended_at - self.began_at).total_seconds()


@dataclass(frozen=True, slots=True)
class ComponentRecovery:
    """One component brought back, or the attempt.

    :param component: ``base`` the cluster by base backup and WAL, ``dump`` the database by a dump,
        ``tree:<name>``: the kinds of :class:`~backstop.model.observation.ComponentSeen`.
    :param repository: that it was read from; :param label: the backup it began with.
    :param lost_at: when the original was lost: what is written later was never at risk.
    :param recovered_to: the moment whose state is back; None: nothing is back.
    :param loss: work that is not back, as the repositories stood at ``lost_at``; None: not known, or nothing
        is back. :param loss_says: how that was measured, in words.
    :param phases: in order; waiting for people is not among them.
    :param downtime: from the declaration until it was validated, waiting for people left out; None: it is not
        back.
    :param rto: and :param rpo: the objectives; None: none was set.
    :param forecast: of the downtime, as it was made before.
    :param failure: why it is not back, in one sentence; empty when it is.
    :param notes: what else somebody should know, a sentence each.
    :param bytes: of the backup that was restored; :param segments: of WAL that were replayed.
    """

    component: str
    repository: str
    label: str
    lost_at: datetime
    recovered_to: datetime | None = None
    loss: timedelta | None = None
    loss_says: str = ""
    phases: tuple[Phase, ...] = ()
    downtime: timedelta | None = None
    rto: timedelta | None = None
    rpo: timedelta | None = None
    forecast: ForecastSeen | None = None
    failure: str = ""
    notes: tuple[str, ...] = ()
    bytes: int | None = None
    segments: int | None = None

    @property
    def rto_met(self) -> bool | None:
        """None: no objective. A component that is not back has not met one."""
        if self.rto is None:
            return None
        return self.downtime is not None and self.downtime <= self.rto

    @property
    def rpo_met(self) -> bool | None:
        """None: no objective, or not known. A component that is not back has not met one."""
        if self.rpo is None:
            return None
        if self.failure:
            return False
        return None if self.loss is None else self.loss <= self.rpo


@dataclass(frozen=True, slots=True)
class CheckedItem:
    """One line of a checklist, carried out.

    :param item: ``restore``, ``integrity``, ``functionality``, ``permissions``, ``configuration``; for an
        incident ``functionality``, ``consistency``, ``integrations``.
    :param component: that it is about; empty: all of them.
    :param sentence: what was done and found. :param details: further ones, one each.
    """

    item: str
    component: str
    outcome: Outcome
    sentence: str
    details: tuple[str, ...] = ()
    seconds: float | None = None


def the_component(component: str) -> str:
    """As in a sentence: ``the cluster``, ``the database`` (of a dump), ``the files of media``."""
    if component.startswith("tree:"):
        return f"the files of {component.removeprefix('tree:')}"
    return "the cluster" if component == "base" else "the database"
