"""From what a watch saw and what is open to metric families. Pure: no I/O, no clock, no global registry."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.metrics import series
from backstop.commands.metrics.protection import add_component, add_drill, add_wal
from backstop.commands.metrics.sheet import Sheet
from backstop.commands.metrics.surroundings import add_keys, add_repositories
from backstop.model.finding import EVERY_TARGET, Level
from backstop.model.procedure import kind_of_run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client.core import GaugeMetricFamily

    from backstop.model.finding import Finding
    from backstop.model.observation import Observation

STALE_AFTER = timedelta(minutes=30)
"""A look as old as this no longer says that anything is well: six of the watch's rounds were missed."""


def metric_families(
    observations: Iterable[Observation],
    findings: Iterable[Finding],
    *,
    now: datetime,
    targets: Collection[str] | None,
    version: str,
    pools: Mapping[str, int] | None = None,
    paused: Mapping[str, str] | None = None,
) -> Iterator[GaugeMetricFamily]:
    """Every series that has a sample.

    :param findings: those that are open.
    :param targets: names in targets.yaml; what was seen of others is left out, or their last look would raise
        alerts for ever. None: all that were ever seen.
    :param pools: places of the pools that targets have tasks in, by name, where Airflow could be asked.
    :param paused: by the id of each DAG that is paused the target it is about, or nothing; likewise.
    """
    sheet = Sheet()
    add_general(sheet, version, pools or {}, paused or {})
    for one in known_targets(observations, findings, now=now, targets=targets):
        add_target(sheet, one)
    return sheet.families()


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """All that the samples of one target are made of.

    :param configured: targets.yaml names it.
    :param stale: the look is too old to say that anything is well.
    """

    name: str
    configured: bool
    seen: Observation | None
    findings: tuple[Finding, ...]
    stale: bool


def known_targets(
    observations: Iterable[Observation],
    findings: Iterable[Finding],
    *,
    now: datetime,
    targets: Collection[str] | None,
) -> Iterator[KnownTarget]:
    """By name; see :func:`metric_families`."""
    by_target: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        by_target[one.target].append(one)
    by_name = {one.target: one for one in observations}
    configured = frozenset(targets or ())
    every = {one for one in by_target if one == EVERY_TARGET}
    for name in sorted(configured | every if targets is not None else {*by_name, *by_target}):
        seen = by_name.get(name)
        stale = seen is not None and abs(now - seen.observed_at) > STALE_AFTER
        yield KnownTarget(name, name in configured, seen, tuple(by_target.get(name, ())), stale)


def add_general(sheet: Sheet, version: str, pools: Mapping[str, int], paused: Mapping[str, str]) -> None:
    """What belongs to no target."""
    sheet.set(series.BUILD, (version,), True)
    for pool, number in pools.items():
        sheet.set(series.POOL_PLACES, (pool,), number)
    for dag_id, target in paused.items():
        sheet.set(series.PAUSED, (dag_id, target), True)


def add_target(sheet: Sheet, known: KnownTarget) -> None:
    """Everything that has the label of this target."""
    sheet.set(series.CONFIGURED, (known.name,), True if known.configured else None)
    _add_findings(sheet, known.name, known.findings)
    if known.seen is not None:
        _add_look(sheet, known.seen, known.findings, stale=known.stale)


def _add_look(sheet: Sheet, seen: Observation, findings: tuple[Finding, ...], *, stale: bool) -> None:
    target = (seen.target,)
    sheet.set(series.WATCHED_AT, target, seen.observed_at)
    sheet.set(series.WATCH_DURATION, target, seen.took_seconds)
    sheet.set(series.UNSEEN, target, len(seen.unseen))
    sheet.set(series.SCRATCH, target, seen.scratch_bytes)
    for clock, ahead_seconds in seen.clock_offsets.items():
        sheet.set(series.CLOCK_OFFSET, (*target, clock), ahead_seconds)
    for component in seen.components:
        failed = any(has_failed(one, component.kind) for one in findings)
        good = component.on_time and not failed and not stale
        add_component(sheet, seen.target, component, good=good)
    if seen.drill is not None:
        add_drill(sheet, seen.target, seen.drill)
    add_wal(sheet, seen)
    add_repositories(sheet, seen)
    add_keys(sheet, seen)


def has_failed(finding: Finding, kind: str) -> bool:
    """Whether it says that a backup of this kind failed, or is not there."""
    if finding.level is not Level.CRITICAL:
        return False
    if finding.check == "run":
        return kind_of_run(finding.subject) == kind
    return finding.check == "completed" and finding.subject == kind


def _add_findings(sheet: Sheet, target: str, findings: tuple[Finding, ...]) -> None:
    counted = Counter(one.level for one in findings)
    for level in Level:
        sheet.set(series.FINDINGS, (target, level.value), counted[level])
    for one in findings:
        sheet.set(series.FINDING_OPEN, (target, one.check, one.subject, one.level.value), True)
