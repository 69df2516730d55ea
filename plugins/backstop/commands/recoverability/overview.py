"""How all targets stand: what somebody who is called at night looks at first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta  # noqa: TC003 fields' types
from typing import TYPE_CHECKING, Any

from backstop.model.finding import EVERY_TARGET, Level, worst_of_each
from backstop.model.standing import Standing, standing
from backstop.repository.drills import newest_drills
from backstop.repository.findings import read_open_findings
from backstop.repository.observations import read_observations
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import psycopg

    from backstop.model.drill import DrillRecord
    from backstop.model.finding import Finding
    from backstop.model.finding_state import OpenFinding
    from backstop.model.observation import AccuracySeen, ComponentSeen, ForecastSeen, Observation


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target at a glance. ``None`` is "not known".

    :param backup_at: when the newest backup of the database was published; :param proven_at: see
        :class:`Standing`; of what no watch has seen, the newest proof.
    :param loss: what would have been lost at ``watched_at``; :param rpo: the objective.
    :param forecast: of bringing the database back as it is now; :param rto: the objective.
    :param stored_bytes: over all repositories that were looked at.
    :param drill: the newest. :param accuracy: how well forecasts like this one have hit.
    """

    target: str
    standing: Standing
    watched_at: datetime | None = None
    backup_at: datetime | None = None
    proven_at: datetime | None = None
    loss: timedelta | None = None
    rpo: timedelta | None = None
    forecast: ForecastSeen | None = None
    rto: timedelta | None = None
    stored_bytes: int | None = None
    criticals: int = 0
    warnings: int = 0
    drill: DrillRecord | None = None
    accuracy: AccuracySeen | None = None

    @property
    def loses_too_much(self) -> bool:
        """More than its objective allows."""
        return self.loss is not None and self.rpo is not None and self.loss > self.rpo

    @property
    def takes_too_long(self) -> bool:
        """More likely than not longer than its objective allows."""
        return (
            self.forecast is not None
            and self.rto is not None
            and self.forecast.median_seconds > self.rto.total_seconds()
        )


@dataclass(frozen=True, slots=True)
class Overview:
    """All that were asked for, the worst first, then by name.

    :param general: open findings that are about no single target.
    """

    rows: tuple[TargetRow, ...]
    general: tuple[OpenFinding, ...] = ()

    @property
    def watched_at(self) -> datetime | None:
        """When any of them was last watched."""
        return max((one.watched_at for one in self.rows if one.watched_at), default=None)


def read_overview(
    session: psycopg.Connection[tuple[Any, ...]],
    *,
    targets: Collection[str],
    now: datetime,
    known: Sequence[Finding] = (),
) -> Overview:
    """Four questions to the inventory, however many targets.

    :param targets: names of those to show. :param known: what is wrong whether the inventory knows it or not.
    """
    seen = {one.target: one for one in read_observations(session)}
    opened = read_open_findings(session)
    found: dict[str, list[Finding]] = {}
    for finding in (*(one.finding for one in opened), *known):
        found.setdefault(finding.target, []).append(finding)
    unseen = [name for name in targets if name not in seen]
    newest = _newest_backups(session, unseen) if unseen else {}
    drills = newest_drills(session)
    rows = [
        replace(
            _row(name, seen.get(name), found.get(name, ()), newest.get(name), now=now), drill=drills.get(name)
        )
        for name in targets
    ]
    rows.sort(key=lambda row: row.target)
    rows.sort(key=lambda row: row.standing.word, reverse=True)
    return Overview(tuple(rows), tuple(one for one in opened if one.finding.target == EVERY_TARGET))


def _newest_backups(
    session: psycopg.Connection[tuple[Any, ...]], targets: Sequence[str]
) -> Mapping[str, tuple[datetime, datetime | None]]:
    rows = session.execute(
        load_sql("recoverability/newest_backups").encode(), {"targets": list(targets)}
    ).fetchall()
    return {target: (finished_at, proven_at) for target, finished_at, proven_at in rows}


def _row(
    target: str,
    observation: Observation | None,
    found: Sequence[Finding],
    known: tuple[datetime, datetime | None] | None,
    *,
    now: datetime,
) -> TargetRow:
    findings = list(worst_of_each(found).values())
    said = standing(observation, findings, now=now)
    criticals = sum(one.level is Level.CRITICAL for one in findings)
    warnings = len(findings) - criticals
    if observation is None:
        backup_at, proven_at = known or (None, None)
        return TargetRow(
            target, said, backup_at=backup_at, proven_at=proven_at, criticals=criticals, warnings=warnings
        )
    main = main_component(observation)
    published = [one.newest.finished_at for one in observation.components if one.newest and _is_database(one)]
    stored = [one.stored_bytes for one in observation.repositories if one.stored_bytes is not None]
    return TargetRow(
        target,
        said,
        watched_at=observation.observed_at,
        backup_at=max(published, default=None),
        proven_at=said.proven_at,
        loss=main.loss if main else None,
        rpo=main.rpo if main else None,
        forecast=main.forecast if main else None,
        accuracy=main.accuracy if main else None,
        rto=main.rto if main else None,
        stored_bytes=sum(stored) if stored else None,
        criticals=criticals,
        warnings=warnings,
    )


def main_component(observation: Observation) -> ComponentSeen | None:
    """What brings the database back as it is now: base backups with WAL where there are any, else dumps."""
    return observation.component("base") or observation.component("dump")


def _is_database(component: ComponentSeen) -> bool:
    return not component.kind.startswith("tree:")
