"""What a drill loses, when, and what it is going to restore; or why it cannot be rehearsed."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.drill.choose import Choice, components_of
from backstop.commands.drill.shelf import Shelf
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.errors import BackstopError, ConfigurationError, RestoreError
from backstop.model.drill_moment import common, draw_moment
from backstop.model.drill_plan import DrillPlan
from backstop.model.drill_rotation import in_turn, scenarios_of
from backstop.model.figures import exact_time, size_in_words
from backstop.model.scenario import Loss, Scenario
from backstop.postgres.isolation import choose_isolation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.drill.settings import DrillSettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.drill_moment import Span
    from backstop.model.drill_plan import PlannedComponent
    from backstop.model.drill_samples import Sample
    from backstop.repository.catalog import Repository

ROTATE = "rotate"
_SPARE_BYTES = 64 * 1024 * 1024
_SEGMENT_BYTES = 16 * 1024 * 1024
_KEPT_SEGMENTS = 256
"""WAL that a recovering server keeps at most: commands/recovery/preflight.py."""


@dataclass(slots=True)
class Planner:
    """Plans drills of one target. Changes nothing.

    :param open_repository: by name; called for those alone that the scenario leaves.
    :param drilled: earlier drills: scenario and when. :param restores: what they took, by component.
    :param attended: one process carries the whole drill out.
    """

    settings: DrillSettings
    open_repository: Callable[[str], Repository]
    keyring: Callable[[], Keyring]
    clock: Callable[[], datetime]
    drilled: Callable[[], Sequence[tuple[str, datetime]]]
    restores: Callable[[], Mapping[str, Sequence[Sample]]]
    attended: bool = False
    _notes: list[str] = field(default_factory=list)

    def plan(
        self,
        *,
        scenario: str | None = None,
        seed: str | None = None,
        moment: datetime | None = None,
        requested_by: str = "",
    ) -> DrillPlan:
        """:param scenario: None: the usual one. :param seed: None: a new one.

        :param moment: instead of a drawn one.
        :raises BackstopError: it cannot be rehearsed: what is missing, and the next step.
        """
        self._notes = []
        began_at = self.clock()
        seed = seed or secrets.token_hex(8)
        wanted = scenario or self.settings.scenario
        failures: list[BackstopError] = []
        for one in self._scenarios(wanted):
            try:
                return self._plan(one, seed, moment, requested_by, began_at)
            except BackstopError as error:
                if wanted != ROTATE:
                    raise
                failures.append(error)
                self._notes.append(f"{one} could not be rehearsed: {error.message}")
        raise failures[0]

    def _scenarios(self, wanted: str) -> tuple[Scenario, ...]:
        if wanted != ROTATE:
            try:
                return (Scenario.parse(wanted),)
            except ValueError as error:
                raise ConfigurationError(str(error), hint="name one of these") from None
        every = scenarios_of(
            database=True, trees=tuple(self.settings.trees), repositories=self.settings.repositories
        )
        return in_turn(every, self.drilled())

    def _plan(
        self,
        scenario: Scenario,
        seed: str,
        moment: datetime | None,
        requested_by: str,
        began_at: datetime,
    ) -> DrillPlan:
        settings = self.settings
        names = components_of(scenario, settings)
        left = self._left(scenario, names)
        with self._choice(scenario, left) as choice:
            spans = common([choice.spans(name) for name in names])
            moment = _moment(moment, seed, spans, target=settings.target, now=choice.now)
            components = tuple(choice.component(name, moment) for name in names)
        self._refuse_what_cannot_run(components)
        return DrillPlan(
            drill_id=f"drill-{began_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
            target=settings.target,
            scenario=str(scenario),
            seed=seed,
            window_begins_at=spans[0].begins_at,
            window_ends_at=spans[-1].ends_at,
            disaster_at=moment,
            began_at=began_at,
            planned_at=self.clock(),
            directory=str(settings.directory),
            components=components,
            repositories=left,
            requested_by=requested_by,
            attended=self.attended,
            notes=(*self._notes, *(f"{name} is passed over: {why}" for name, why in choice.unread.items())),
        )

    def _left(self, scenario: Scenario, components: Sequence[str]) -> tuple[str, ...]:
        """Repositories that the components are in, but for the one that is lost."""
        names = dict.fromkeys(name for one in components for name in self.settings.repositories_of(one))
        lost = scenario.name if scenario.loss is Loss.REPOSITORY else ""
        return tuple(name for name in names if name != lost)

    @contextmanager
    def _choice(self, scenario: Scenario, names: Sequence[str]) -> Iterator[Choice]:
        shelves: dict[str, Shelf] = {}
        unread: dict[str, str] = {}
        failures: list[BackstopError] = []
        for name in names:
            try:
                shelves[name] = Shelf.read(self.open_repository(name))
            except BackstopError as error:
                unread[name] = error.message
                failures.append(error)
        if not shelves:
            raise failures[0]
        sweep_staging(self.settings.directory)
        with staging_directory(self.settings.directory, f"drill-plan-{secrets.token_hex(4)}") as folder:
            yield Choice(
                self.settings,
                scenario,
                shelves,
                unread,
                self.keyring(),
                folder,
                self.clock(),
                self.restores(),
            )

    def _refuse_what_cannot_run(self, components: Sequence[PlannedComponent]) -> None:
        if any(one.component in ("base", "dump") for one in components):
            choose_isolation(self.settings.isolation)
        needed = sum(one.plain_bytes for one in components) + _SPARE_BYTES
        needed += sum(min(one.segments or 0, _KEPT_SEGMENTS) for one in components) * _SEGMENT_BYTES
        place = _existing(self.settings.directory)
        free = shutil.disk_usage(place).free
        if free < needed:
            raise RestoreError(
                f"{place} has {size_in_words(free)} free; this drill needs {size_in_words(needed)}",
                hint="free space there, or name a larger place in `drill.directory` of targets.yaml",
            )


def _moment(
    given: datetime | None, seed: str, spans: Sequence[Span], *, target: str, now: datetime
) -> datetime:
    if not spans:
        raise RestoreError(
            f"there is no moment that everything {target} has lost can be brought back to",
            hint="back up what has no backup as old as the others', or drill one component alone",
        )
    if given is None:
        return draw_moment(seed, spans)
    if not any(given in span for span in spans):
        windows = " and ".join(f"{exact_time(one.begins_at)} to {exact_time(one.ends_at)}" for one in spans)
        raise RestoreError(
            f"{target} cannot be brought back to {exact_time(given)}", hint=f"choose a moment in {windows}"
        )
    return given


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
