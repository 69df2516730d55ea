"""Everything about one target that the inventory knows: what its page shows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.recoverability.backups import component_of, read_stored
from backstop.commands.recoverability.holds import read_holds
from backstop.commands.recoverability.leaving import departures
from backstop.model.finding import worst_of_each
from backstop.model.standing import Standing, standing
from backstop.repository.drills import list_drills, list_incidents
from backstop.repository.findings import read_closed_findings, read_open_findings
from backstop.repository.observations import read_observations
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from backstop.commands.recoverability.backups import StoredBackup
    from backstop.commands.recoverability.holds import HoldSeen
    from backstop.commands.recoverability.leaving import Departures, Policies
    from backstop.model.drill import DrillRecord
    from backstop.model.finding import Finding
    from backstop.model.finding_state import OpenFinding
    from backstop.model.observation import Observation
    from backstop.model.retention_forecast import Leaving
    from backstop.repository.drills import IncidentRow

HISTORY = timedelta(days=365)
CLOSED_LATELY = timedelta(days=14)
MOST_DRILLS = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One backup of a series, or one restore."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """How backups of a kind went over time, oldest first.

    :param kind: in words: ``dump``, ``full base backup``, ``tree media``.
    :param sizes: stored bytes; :param seconds: until published; :param restores: seconds of verifications.
    """

    kind: str
    sizes: tuple[Sample, ...]
    seconds: tuple[Sample, ...]
    restores: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target.

    :param backups: that are there, in each repository, oldest first.
    :param series: of the last year, what has expired too.
    :param departures: when those of each kind and repository probably go.
    :param open: findings, the worst first; :param closed: those that closed lately, the newest first.
    :param drills: and :param incidents: the newest first.
    """

    target: str
    standing: Standing
    observation: Observation | None
    backups: tuple[StoredBackup, ...]
    series: tuple[Series, ...]
    departures: tuple[Departures, ...]
    open: tuple[OpenFinding, ...]
    closed: tuple[OpenFinding, ...]
    holds: tuple[HoldSeen, ...]
    drills: tuple[DrillRecord, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the inventory has anything of it."""
        return self.observation is not None or bool(
            self.backups or self.series or self.open or self.closed or self.drills or self.incidents
        )

    @property
    def leaving(self) -> dict[tuple[str, str], Leaving]:
        """When each backup probably goes, by repository and label."""
        return {(group.repository, one.label): one for group in self.departures for one in group.all}


def read_target(
    session: psycopg.Connection[tuple[Any, ...]],
    target: str,
    *,
    policies: Policies,
    now: datetime,
    known: Sequence[Finding] = (),
) -> TargetView:
    """Eight questions to the inventory. A target that it does not know is one that was never backed up.

    :param policies: what each repository keeps, by its name and the backup's label.
    :param known: what is wrong with it whether the inventory knows it or not.
    """
    observation = next(iter(read_observations(session, target)), None)
    findings = read_open_findings(session, target)
    since = now - HISTORY
    stored = read_stored(session, target, since=since)
    holds = read_holds(session, target, now=now)
    restores = _restores(session, target, since)
    wrong = worst_of_each([*(one.finding for one in findings), *known]).values()
    said = standing(observation, list(wrong), now=now)
    here = tuple(one for one in stored if one.is_there)
    return TargetView(
        target=target,
        standing=said,
        observation=observation,
        backups=here,
        series=_series([one for one in stored if one.finished_at >= since], restores),
        departures=departures(here, holds, policies=policies, now=now),
        open=findings,
        closed=read_closed_findings(session, target, now - CLOSED_LATELY),
        holds=holds,
        drills=tuple(list_drills(session, target, MOST_DRILLS)),
        incidents=tuple(list_incidents(session, target, MOST_DRILLS)),
    )


def _restores(
    session: psycopg.Connection[tuple[Any, ...]], target: str, since: datetime
) -> Mapping[str, Sequence[Sample]]:
    rows = session.execute(
        load_sql("recoverability/restores").encode(), {"target": target, "since": since}
    ).fetchall()
    by_kind: dict[str, list[Sample]] = defaultdict(list)
    for label, finished_at, seconds in rows:
        by_kind[_kind_in_words(label)].append(Sample(finished_at, seconds))
    return by_kind


def _series(stored: Sequence[StoredBackup], restores: Mapping[str, Sequence[Sample]]) -> tuple[Series, ...]:
    by_kind: dict[str, dict[str, StoredBackup]] = defaultdict(dict)
    for one in stored:
        # A backup is one read, however many repositories it is in: the first to have it counts.
        by_kind[_kind_in_words(one.label)].setdefault(one.label, one)
    order = ("dump", "full", "incremental", "tree")
    return tuple(
        Series(
            kind,
            tuple(Sample(one.finished_at, one.stored_bytes) for one in labels.values()),
            tuple(
                Sample(one.finished_at, (one.finished_at - one.started_at).total_seconds())
                for one in labels.values()
            ),
            tuple(restores.get(kind, ())),
        )
        for kind, labels in sorted(
            by_kind.items(), key=lambda item: (order.index(item[0].split()[0]), item[0])
        )
    )


def _kind_in_words(label: str) -> str:
    component = component_of(label)
    if component == "base":
        return "full base backup" if label.endswith("-full") else "incremental base backup"
    return component.replace(":", " ")
