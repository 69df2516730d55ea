"""A recovery of the whole server to a moment, planned from what the newest watch saw."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.commands.recoverability.restore_plan import (
    ANY_REPOSITORY,
    LATEST,
    RestorePlan,
    approval_in_words,
    doubts_about_look,
    forecast_in_words,
    loss_in_words,
    run_of,
)
from backstop.errors import ConfigurationError
from backstop.model.recovery_target import RecoveryTarget, TargetKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.recoverability.backups import StoredBackup
    from backstop.model.observation import Observation, WindowSeen
    from backstop.targets import Target

BESIDE, CUT_OVER = "beside", "cut over"


def plan_point(
    target: Target,
    observation: Observation | None,
    backups: Sequence[StoredBackup],
    *,
    point: str,
    mode: str,
    repository: str,
    now: datetime,
) -> RestorePlan:
    """:param point: ``latest``, or a time with its zone.

    :raises ConfigurationError: no way leads there, as far as is known, or it is not to be had at all.
    """
    recovery = target.cluster.recovery if target.cluster else None
    if recovery is None:
        raise ConfigurationError(
            f"{target.name} cannot be recovered to a moment: targets.yaml does not say how",
            hint="restore a dump of the database instead",
        )
    if mode not in modes_of(target):
        raise ConfigurationError(f"{mode!r} is not possible", hint=f"choose: {', '.join(modes_of(target))}")
    names = target.database.repositories
    if repository not in (ANY_REPOSITORY, *names):
        raise ConfigurationError(
            f"{target.name} has no repository {repository!r}", hint=f"choose: {', '.join(names)}, or any"
        )
    wanted = list(names) if repository == ANY_REPOSITORY else [repository]
    windows = [one for one in (observation.windows if observation else ()) if one.repository in wanted]
    moment = moment_of(point, now=now)
    window, at = _window(windows, moment, wanted, now=now, target=target.name)
    base = _base(window, at, backups)
    touches = mode == CUT_OVER
    component = observation.component("base") if observation else None
    shown = "the last moment that is stored" if moment is None else _exactly(moment)
    return RestorePlan(
        dag_id=run_of("restore_to_point_in_time", target.queue),
        conf={
            "target": target.name,
            "point": LATEST if moment is None else _exactly(moment),
            "mode": mode,
            "repository": repository,
        },
        title=f"Recover the server of {target.name} to {shown}",
        facts=(
            ("Base backup", f"{base}, on timeline {window.timeline}" if base else "the best one there is"),
            ("Read from", f"repository {window.repository}; WAL that it lacks is sought in the others"),
            ("Data loss", loss_in_words(at, now)),
            (
                "Time",
                forecast_in_words(
                    component.forecast if component else None, target.database.objectives.rto, replays=True
                ),
            ),
        ),
        steps=(
            "The run checks the way again, in the repository itself, and stops if there is none.",
            f"The cluster is recovered into a new folder below {recovery.directory}; the live server does not"
            " notice.",
            "It is replayed to the moment and asked the control questions of targets.yaml.",
            "The live server is stopped, the data directories are exchanged, it is started again. The former"
            " directory is kept."
            if touches
            else "It is left there, stopped, for you to look into. Nothing live is touched.",
        ),
        approval=approval_in_words(recovery, touches_live=touches),
        touches_live=touches,
        cautions=(
            *doubts_about_look(observation, window.repository, now),
            *_cautions(window, at, observation, touches=touches),
        ),
    )


def modes_of(target: Target) -> dict[str, str]:
    """What may be done with a recovered server; the harmless first."""
    modes = {BESIDE: "Recover it beside the live one and leave it there, stopped"}
    if target.cluster and target.cluster.recovery and target.cluster.recovery.cutover:
        modes[CUT_OVER] = "Put it in the place of the live server"
    return modes


def moment_of(point: str, *, now: datetime) -> datetime | None:
    """None: the latest there is. :raises ConfigurationError: no time with its zone, or one to come."""
    goal = RecoveryTarget.parse(point)
    if goal.kind is TargetKind.LATEST:
        return None
    if goal.kind is not TargetKind.TIME or goal.time is None:
        raise ConfigurationError(
            f"{point!r} is no moment",
            hint="write a time with its zone, 2026-11-23T11:59:00Z, or latest; Airflow's form takes others",
        )
    if goal.time > now:
        raise ConfigurationError(
            f"{_exactly(goal.time)} is in the future", hint="choose a moment in a window"
        )
    return goal.time


def _window(
    windows: Sequence[WindowSeen],
    moment: datetime | None,
    wanted: Sequence[str],
    *,
    now: datetime,
    target: str,
) -> tuple[WindowSeen, datetime]:
    """The window that leads there, and the moment it leads to."""
    if not windows:
        raise ConfigurationError(
            f"nothing is known of a moment that {target} could be recovered to",
            hint="see the findings of the target; restore a dump of the database instead",
        )
    by_preference = sorted(windows, key=lambda one: wanted.index(one.repository))
    if moment is None:
        newest = max(by_preference, key=lambda one: (one.newest, one.ends_at))
        return newest, newest.ends_at
    for window in by_preference:
        # Of the newest window the watch knows only the end that it had then.
        if window.begins_at <= moment <= (now if window.newest else window.ends_at):
            return window, moment
    raise ConfigurationError(
        f"{target} cannot be recovered to {_exactly(moment)}: no window has it",
        hint="the nearest moments that can be had are " + _nearest(windows, moment),
    )


def _nearest(windows: Sequence[WindowSeen], moment: datetime) -> str:
    before = max((one.ends_at for one in windows if one.ends_at < moment), default=None)
    after = min((one.begins_at for one in windows if one.begins_at > moment), default=None)
    return " and ".join(_exactly(one) for one in (before, after) if one is not None)


def _base(window: WindowSeen, at: datetime, backups: Sequence[StoredBackup]) -> str:
    """The newest base backup of the window that had ended by then; empty when that is not known."""
    ended = {
        one.label: one.finished_at
        for one in backups
        if one.repository == window.repository and one.label in window.bases and one.finished_at <= at
    }
    return max(ended, key=lambda label: ended[label], default="")


def _cautions(
    window: WindowSeen, at: datetime, observation: Observation | None, *, touches: bool
) -> tuple[str, ...]:
    said = []
    if observation is not None and at > window.ends_at:
        said.append(
            f"The newest look, at {_exactly(observation.observed_at)}, knew of WAL up to"
            f" {_exactly(window.ends_at)} only; the run will tell whether there is more by now."
        )
    if touches:
        said.append(
            "After a cut over the server writes a new timeline: take a full base backup at once; until it is"
            " published the server is unprotected."
        )
    return tuple(said)


def _exactly(moment: datetime) -> str:
    """With seconds, and fractions if there are any: it is also what the run is told."""
    text = moment.astimezone(timezone.utc).isoformat(timespec="auto")
    return text.replace("+00:00", "Z")
