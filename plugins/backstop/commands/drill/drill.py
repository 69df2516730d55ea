"""One target's drills: each step by itself, as tasks call them, or all in one go."""

from __future__ import annotations

import logging
import socket
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from backstop import __version__
from backstop.commands.drill.base import recover_cluster
from backstop.commands.drill.dump import restore_dump
from backstop.commands.drill.folder import DrillFolder
from backstop.commands.drill.phases import Phases
from backstop.commands.drill.pieces import Task, holder_of, measured
from backstop.commands.drill.plan import Planner
from backstop.commands.drill.restored import RestoredComponent
from backstop.commands.drill.tree import restore_tree
from backstop.errors import BackstopError
from backstop.model.backup import BackupLabel
from backstop.model.drill import CHECKLIST, DrillRecord
from backstop.model.drill_measures import untried, validated
from backstop.model.measured import CheckedItem, Outcome
from backstop.model.scenario import Loss, Scenario
from backstop.repository.pins import release_pins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from backstop.commands.drill.pieces import Brought
    from backstop.commands.drill.settings import DrillSettings
    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.drill_plan import DrillPlan
    from backstop.model.drill_samples import Sample
    from backstop.repository.catalog import Repository

log = logging.getLogger(__name__)


class Surroundings(Protocol):
    """What a drill asks of others than the repositories it restores from. None of it can stop a drill."""

    def drilled(self) -> Sequence[tuple[str, datetime]]:
        """Earlier drills of the target: scenario and when."""
        ...

    def restores(self) -> Mapping[str, Sequence[Sample]]:
        """What they took, and when they ended, by component."""
        ...

    def losses(self, repository: str, moment: datetime) -> Sequence[tuple[datetime, timedelta | None]]:
        """What watches around that moment saw: at most so much would have been lost in that repository."""
        ...

    def check(self, plan: DrillPlan, restored: Sequence[RestoredComponent]) -> Sequence[CheckedItem]:
        """The checklist, carried out."""
        ...

    def stop(self, plan: DrillPlan) -> Sequence[str]:
        """Stops what a killed checklist left running. :returns: what still runs, a sentence each."""
        ...

    def keep(self, plan: DrillPlan, record: DrillRecord) -> Sequence[str]:
        """Puts the record into evidence and inventory. :returns: what could not be done, a sentence each."""
        ...


@dataclass(slots=True)
class Drill:
    """One target, with everything it takes.

    :param open_repository: by name; one that a scenario takes away is never opened, but to keep the record.
    :param attended: this process carries whole drills out; False: tasks do, each maybe a process of its own.
    """

    settings: DrillSettings
    open_repository: Callable[[str], Repository]
    keyring: Callable[[], Keyring]
    surroundings: Surroundings
    clock: Callable[[], datetime]
    progress: Progress
    attended: bool = False
    folder: DrillFolder = field(init=False)

    def __post_init__(self) -> None:
        self.folder = DrillFolder(self.settings.directory, self.settings.target)

    def plan(
        self,
        *,
        scenario: str | None = None,
        seed: str | None = None,
        moment: datetime | None = None,
        requested_by: str = "",
    ) -> DrillPlan:
        """Draw the moment, and settle what is restored from where. Changes nothing. See :class:`Planner`."""
        planner = Planner(
            self.settings,
            self.open_repository,
            self.keyring,
            self.clock,
            self.surroundings.drilled,
            self.surroundings.restores,
            self.attended,
        )
        return planner.plan(scenario=scenario, seed=seed, moment=moment, requested_by=requested_by)

    def prepare(self, plan: DrillPlan) -> None:
        """Claim the target's scratch folder, and clear away what killed drills left there.

        :raises LeaseHeldError: another drill of the target is under way.
        """
        for dead in self.folder.claim(plan, ending=self._stop):
            log.warning("Drill %s had been killed: what it left was removed", dead.drill_id)
            for sentence in self._release(dead, unless_lost_in=plan):
                log.warning("%s", sentence)

    def restore(self, plan: DrillPlan, component: str) -> RestoredComponent:
        """Restore one component elsewhere, and leave it there, stopped; one that was there is removed before.

        That it cannot be brought back is a result, and in there.

        :raises RestoreError: the drill's folder is not there: it was torn down, or is on another machine.
        """
        planned = plan.component(component)
        with self.folder.step(plan) as place:
            try:
                own = self.folder.component(place, component)
                task = Task(
                    plan=plan,
                    planned=planned,
                    settings=self.settings,
                    repository=self.open_repository(planned.repository),
                    others=[self.open_repository(name) for name in planned.others],
                    keyring=self.keyring(),
                    folder=own,
                    phases=Phases(self.clock),
                    clock=self.clock,
                    progress=self.progress,
                    samples=self.surroundings.losses(planned.repository, plan.disaster_at),
                )
            except (BackstopError, OSError) as error:
                log.warning("%s is not back: %s", component, error)
                return RestoredComponent(replace(untried(plan, planned), failure=str(error)))
            try:
                return measured(task, _restorer(component)(task))
            except (BackstopError, OSError) as error:
                log.warning("%s is not back: %s", component, error)
                self.folder.discard(own)
                return measured(task, None, failure=str(error))

    def check(self, plan: DrillPlan, restored: Sequence[RestoredComponent]) -> tuple[CheckedItem, ...]:
        """Carry the checklist out on what was restored. What fails is in there; so is a component of the plan
        that nobody says anything of, as when its task was killed.
        """
        came = {one.component for one in restored}
        missing = [
            RestoredComponent(untried(plan, one)) for one in plan.components if one.component not in came
        ]
        with self.folder.step(plan):
            try:
                return tuple(self.surroundings.check(plan, [*restored, *missing]))
            except Exception as error:
                # A defect of a check must not cost the record of everything else.
                if not isinstance(error, BackstopError):
                    log.exception("The checklist of %s broke down", plan.drill_id)
                known = isinstance(error, BackstopError)
                said = f"it could not be checked: {error if known else type(error).__name__}"
                return tuple(CheckedItem(item, "", Outcome.NOT_DONE, said) for item in CHECKLIST)

    def found(self) -> list[DrillPlan]:
        """Drills of the target of which something is on this machine, under way or dead."""
        return self.folder.found()

    def tear_down(self, plan: DrillPlan) -> tuple[str, ...]:
        """Remove everything of the drill from this machine, and its marks in repositories. Can be repeated.

        :returns: what is left, a sentence each.
        """
        left = self.folder.remove(plan.drill_id, ending=lambda: self.surroundings.stop(plan))
        return (*left, *self._release(plan, unless_lost_in=plan))

    def record(
        self,
        plan: DrillPlan,
        restored: Sequence[RestoredComponent],
        checklist: Sequence[CheckedItem],
        left_behind: Sequence[str],
    ) -> DrillRecord:
        """Put together what was done, found and measured, however far it came, and keep it.

        :raises BackstopError: no repository took it.
        """
        found = {one.component: one.recovery for one in restored}
        record = DrillRecord(
            drill_id=plan.drill_id,
            target=plan.target,
            scenario=plan.scenario,
            seed=plan.seed,
            window_begins_at=plan.window_begins_at,
            window_ends_at=plan.window_ends_at,
            disaster_at=plan.disaster_at,
            began_at=plan.began_at,
            ended_at=self.clock(),
            components=tuple(
                validated(found[one.component], checklist) if one.component in found else untried(plan, one)
                for one in plan.components
            ),
            checklist=tuple(checklist),
            left_behind=tuple(left_behind),
            requested_by=plan.requested_by,
            host=socket.gethostname(),
            version=__version__,
            notes=(*plan.notes, *_alone(plan)),
        )
        for sentence in self.surroundings.keep(plan, record):
            log.warning("%s", sentence)
        return record

    def run(self, plan: DrillPlan) -> DrillRecord:
        """All of it. Whatever happens, nothing is left behind.

        :raises LeaseHeldError: another drill of the target is under way; nothing was done.
        """
        self.prepare(plan)
        left: tuple[str, ...] = ()
        try:
            restored = [self.restore(plan, name) for name in plan.names]
            checklist = self.check(plan, restored)
        finally:
            left = self.tear_down(plan)
            for sentence in left:
                log.error("%s", sentence)
        return self.record(plan, restored, checklist, left)

    def _stop(self, dead: DrillPlan) -> None:
        for sentence in self.surroundings.stop(dead):
            log.warning("%s", sentence)

    def _release(self, plan: DrillPlan, *, unless_lost_in: DrillPlan) -> list[str]:
        """End marks that a killed step of the drill may have left in repositories."""
        scenario = Scenario.parse(unless_lost_in.scenario)
        lost = scenario.name if scenario.loss is Loss.REPOSITORY else ""
        said = []
        for one in plan.components:
            if one.repository == lost:
                continue
            try:
                storage = self.open_repository(one.repository).storage
                for label in one.chain:
                    release_pins(storage, plan.target, BackupLabel(label), holder=holder_of(plan.drill_id))
            except BackstopError as error:
                said.append(f"marks on {one.label} in {one.repository} end by themselves: {error.message}")
        return said


def _restorer(component: str) -> Callable[[Task], Brought]:
    return {"base": recover_cluster, "dump": restore_dump}.get(component, restore_tree)


def _alone(plan: DrillPlan) -> tuple[str, ...]:
    if Scenario.parse(plan.scenario).loss is not Loss.AIRFLOW or sys.modules.get("airflow") is not None:
        return ()
    return ("carried out by the command line alone, without Airflow and inventory",)
