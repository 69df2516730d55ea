"""Which components a scenario takes away, and from which backup, in which repository, each comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.drill.way import ClusterWay
from backstop.errors import BackstopError, NotFoundError, RestoreError
from backstop.model.canonical import format_time
from backstop.model.drill_moment import Span
from backstop.model.drill_plan import PlannedComponent
from backstop.model.drill_samples import oldest_first
from backstop.model.forecast import forecast
from backstop.model.scenario import Loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.drill.settings import DrillSettings
    from backstop.commands.drill.shelf import Shelf
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.drill_samples import Sample
    from backstop.model.observation import ForecastSeen
    from backstop.model.recovery import RecoveryPlan
    from backstop.model.scenario import Scenario
    from backstop.repository.catalog import Published

_COMPARED = "the age of the newest backup then"


def components_of(scenario: Scenario, settings: DrillSettings) -> tuple[str, ...]:
    """What is lost, in the order in which it comes back: configuration first, then the database.

    :raises NotFoundError: the target has nothing of that name; :raises RestoreError: nothing would be left.
    """
    trees = settings.trees
    if scenario.loss is Loss.TREE and scenario.name not in trees:
        raise NotFoundError(
            f"target {settings.target} has no file tree {scenario.name!r}",
            hint=f"its `trees` are: {', '.join(trees) or 'none'}",
        )
    if scenario.loss is Loss.TREE:
        return (f"tree:{scenario.name}",)
    database = "base" if settings.database.physical else "dump"
    if scenario.loss is Loss.DATABASE:
        return (database,)
    if scenario.loss is Loss.REPOSITORY and scenario.name not in settings.repositories:
        raise NotFoundError(
            f"target {settings.target} has no repository {scenario.name!r}",
            hint=f"choose one of: {', '.join(settings.repositories)}",
        )
    first = [f"tree:{name}" for name, tree in trees.items() if tree.first]
    rest = [f"tree:{name}" for name, tree in trees.items() if not tree.first]
    every = (*first, database, *rest)
    for component in every:
        if scenario.loss is Loss.REPOSITORY and settings.repositories_of(component) == (scenario.name,):
            raise RestoreError(
                f"{component} of {settings.target} is kept in repository {scenario.name} alone: without it "
                "nothing of it is left",
                hint="give it a second repository in targets.yaml, or drill another scenario",
            )
    return every


@dataclass(slots=True)
class Choice:
    """Of backups, for one scenario.

    :param shelves: what the repositories that are left hold. :param unread: why others are not among them.
    :param drilled: how long restores took in earlier drills and when they ended, by component.
    """

    settings: DrillSettings
    scenario: Scenario
    shelves: Mapping[str, Shelf]
    unread: Mapping[str, str]
    keyring: Keyring
    staging: Path
    now: datetime
    drilled: Mapping[str, Sequence[Sample]] = field(default_factory=dict)

    @property
    def _attacked(self) -> bool:
        return self.scenario.loss is Loss.RANSOMWARE

    def spans(self, component: str) -> list[Span]:
        """The time to which it can be brought back from any of the repositories.

        :raises NotFoundError: there is none; says what is missing.
        """
        found: list[Span] = []
        for shelf in self._shelves(component):
            if component == "base":
                found += self._cluster_spans(shelf)
            else:
                begins = [
                    shelf.first_proven_at(one) if self._attacked else one.manifest.finished_at
                    for one in shelf.of(component)
                ]
                found += [Span(at, self.now) for at in begins if at is not None]
        if not found:
            raise self._nothing(component)
        return found

    def component(self, component: str, moment: datetime) -> PlannedComponent:
        """:raises BackstopError: it cannot be brought back to that moment; says why, for each repository."""
        failures: dict[str, BackstopError] = {}
        for shelf in self._shelves(component):
            try:
                if component == "base":
                    return self._base(shelf, moment)
                return self._copy(shelf, component, moment)
            except BackstopError as error:
                failures[shelf.repository.name] = error
        if not failures:
            raise self._nothing(component)
        first = next(iter(failures.values()))
        if len(failures) == 1:
            raise first
        said = "; ".join(f"{name}: {error.message}" for name, error in failures.items())
        raise RestoreError(f"{component} cannot be brought back: {said}", hint=first.hint)

    # -- Inside ----------------------------------------------------------------------------------------------

    def _shelves(self, component: str) -> list[Shelf]:
        names = self.settings.repositories_of(component)
        return [self.shelves[name] for name in names if name in self.shelves]

    def _nothing(self, component: str) -> NotFoundError:
        names = [name for name in self.settings.repositories_of(component) if name in self.shelves]
        what = {"base": "base backup", "dump": "dump"}.get(component, f"backup of {component}")
        proven = "proven " if self._attacked else ""
        said = f"{self.settings.target} has no {proven}{what} in {', '.join(names) or 'any repository'}"
        said += "".join(f"; {name}: {why}" for name, why in self.unread.items())
        step = {"base": "take-base-backup", "dump": "back-up-database"}.get(component, "back-up-files")
        if self._attacked and any(shelf.of(component) for shelf in self._shelves(component)):
            step = "verify"
        return NotFoundError(said, hint=f"run `python -m backstop {step}`, then drill again")

    def _way(self, shelf: Shelf, *, until: datetime | None = None) -> ClusterWay:
        others = [one.repository for one in self._shelves("base") if one is not shelf]
        return ClusterWay(
            shelf.repository, self.settings.target, self.keyring, self.staging, others, trusted_until=until
        )

    def _cluster_spans(self, shelf: Shelf) -> list[Span]:
        try:
            spans = self._way(shelf).spans(now=self.now)
        except NotFoundError:
            return []
        if not self._attacked:
            return list(spans.values())
        found = []
        for published in shelf.of("base"):
            span, since = spans.get(published.manifest.label.text), shelf.first_proven_at(published)
            if span is not None and since is not None:
                found.append(Span(max(span.begins_at, since), span.ends_at))
        return found

    def _base(self, shelf: Shelf, moment: datetime) -> PlannedComponent:
        until = moment if self._attacked else None
        way = self._way(shelf, until=until)
        base = self._proven(shelf, "base", moment).manifest.label.text if self._attacked else None
        plan = way.plan(moment, now=self.now, base=base)
        manifests = {one.manifest.label.text: one for one in shelf.of("base")}
        chain = [manifests[label] for label in plan.chain]
        copied = sum(one.manifest.plain_bytes for one in chain)
        return PlannedComponent(
            component="base",
            repository=shelf.repository.name,
            label=plan.chain[-1],
            chain=plan.chain,
            others=tuple(one.name for one in way.others),
            point=str(plan.target),
            timeline=plan.timeline,
            trusted_until=until,
            recovers_to=moment,
            proven_at=shelf.proven_at(chain[-1], by=until),
            rto=self.settings.database.rto,
            rpo=self.settings.database.rpo,
            forecast=self._forecast(shelf, "base", chain[-1].manifest.plain_bytes, plan),
            plain_bytes=copied + (chain[0].manifest.plain_bytes if len(chain) > 1 else 0),
            segments=plan.segment_count,
            why=(*plan.why, *plan.warnings),
        )

    def _copy(self, shelf: Shelf, component: str, moment: datetime) -> PlannedComponent:
        until = moment if self._attacked else None
        published = self._newest(shelf, component, moment)
        manifest = published.manifest
        rto, rpo = self.settings.objectives(component)
        return PlannedComponent(
            component=component,
            repository=shelf.repository.name,
            label=manifest.label.text,
            chain=(manifest.label.text,),
            trusted_until=until,
            recovers_to=manifest.snapshot_at,
            proven_at=shelf.proven_at(published, by=until),
            loss=max(moment - manifest.snapshot_at, timedelta(0)),
            loss_says=f"{_COMPARED}: it shows {format_time(manifest.snapshot_at)}",
            rto=rto,
            rpo=rpo,
            forecast=self._forecast(shelf, component, manifest.plain_bytes),
            plain_bytes=manifest.plain_bytes,
            why=(f"the newest{' proven' if until else ''} that had ended by {format_time(moment)}",),
        )

    def _newest(self, shelf: Shelf, component: str, moment: datetime) -> Published:
        if self._attacked:
            return self._proven(shelf, component, moment)
        ended = [one for one in shelf.of(component) if one.manifest.finished_at <= moment]
        if not ended:
            raise NotFoundError(
                f"{shelf.repository.name} has no backup of {component} that had ended by "
                f"{format_time(moment)}",
                hint="choose a later moment",
            )
        return ended[-1]

    def _proven(self, shelf: Shelf, component: str, moment: datetime) -> Published:
        """The newest that was proven when it happened. What came later, proofs too, may be the attacker's."""
        for published in reversed(shelf.of(component)):
            before = published.manifest.finished_at <= moment
            if before and shelf.proven_at(published, by=moment) is not None:
                return published
        raise NotFoundError(
            f"{shelf.repository.name} has no backup of {component} that was proven by {format_time(moment)}",
            hint="prove backups as they come (`python -m backstop verify`), or choose a later moment",
        )

    def _forecast(
        self, shelf: Shelf, component: str, size_bytes: int, plan: RecoveryPlan | None = None
    ) -> ForecastSeen | None:
        samples = [*shelf.past_restores(component), *self.drilled.get(component, ())]
        return forecast(oldest_first(samples), bytes=size_bytes, segments=plan.segment_count if plan else 0)
