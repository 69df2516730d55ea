"""What restores of every kind of component are given and give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.drill.restored import RestoredComponent
from backstop.model.measured import ComponentRecovery, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.drill.phases import Phases
    from backstop.commands.drill.settings import DrillSettings
    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.drill_plan import DrillPlan, PlannedComponent
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True)
class Task:
    """One component to be restored.

    :param folder: its own, new and empty. :param others: repositories that may lend WAL.
    :param samples: what watches saw of the loss around the moment, in the repository that is read.
    """

    plan: DrillPlan
    planned: PlannedComponent
    settings: DrillSettings
    repository: Repository
    others: Sequence[Repository]
    keyring: Keyring
    folder: Path
    phases: Phases
    clock: Callable[[], datetime]
    progress: Progress
    samples: Sequence[tuple[datetime, timedelta | None]] = ()

    @property
    def holder(self) -> str:
        """How its marks against expiry name it."""
        return holder_of(self.plan.drill_id)


@dataclass(slots=True)
class Brought:
    """What a restore has brought back; :meth:`document` makes the component of it."""

    recovered_to: datetime
    loss: timedelta | None
    loss_says: str
    bytes: int
    segments: int | None = None
    notes: tuple[str, ...] = ()
    where: Mapping[str, object] = field(default_factory=dict)


def holder_of(drill_id: str) -> str:
    """How marks against expiry name a drill."""
    return f"drill {drill_id}"


def _downtime(plan: DrillPlan, phases: Sequence[Phase]) -> timedelta:
    """Since the drill began; never less than the work took, should the clock have been set back since."""
    worked = sum((one.ended_at - one.began_at for one in phases), timedelta(0))
    return max(phases[-1].ended_at - plan.began_at, worked)


def measured(task: Task, brought: Brought | None, failure: str = "") -> RestoredComponent:
    """The component as it is now: back, or why not."""
    plan, planned, phases = task.plan, task.planned, task.phases.found
    detected = Phase("detect", plan.began_at, plan.planned_at)
    recovery = ComponentRecovery(
        component=planned.component,
        repository=planned.repository,
        label=planned.label,
        lost_at=plan.disaster_at,
        recovered_to=brought.recovered_to if brought else None,
        loss=brought.loss if brought else None,
        loss_says=brought.loss_says if brought else "",
        phases=(detected, *phases),
        downtime=_downtime(plan, phases) if brought and phases else None,
        rto=planned.rto,
        rpo=planned.rpo,
        forecast=planned.forecast,
        failure=failure,
        notes=brought.notes if brought else (),
        bytes=brought.bytes if brought else None,
        segments=brought.segments if brought else None,
    )
    where = dict(brought.where) if brought else {}
    return RestoredComponent(recovery=recovery, folder=str(task.folder), **where)  # type: ignore[arg-type]
