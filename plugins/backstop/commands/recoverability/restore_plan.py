"""What a restore that somebody asks for would do, as far as the inventory knows, and the run that does it.

Says what the run's own plan will say, before anything is started; the run looks at the repositories and
decides for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.figures import duration_in_words, in_short, moment_in_words
from backstop.model.standing import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backstop.model.observation import ForecastSeen, Observation
    from backstop.targets.database import Consent

ANY_REPOSITORY = "any"
NEWEST = "newest proven"
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What is asked for, and what it means.

    :param dag_id: what to start; :param conf: with which parameters.
    :param title: in words; :param facts: name and sentence, in the order people ask.
    :param steps: what will happen; :param approval: who has to agree.
    :param touches_live: something live is replaced in the end.
    """

    dag_id: str
    conf: Mapping[str, Any]
    title: str
    facts: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]
    approval: str
    touches_live: bool
    cautions: tuple[str, ...] = field(default=())


def run_of(procedure: str, queue: str | None) -> str:
    """The id of the DAG for targets whose workers listen to this queue."""
    return f"{procedure}__{queue}" if queue else procedure


def approval_in_words(consent: Consent, *, touches_live: bool) -> str:
    """Who has to agree before it goes on."""
    if not touches_live:
        return "Nobody: nothing live is touched."
    if not consent.approval:
        return (
            "Nobody: targets.yaml asks for no approval. What is live is replaced without a further question."
        )
    who = "Somebody other than you" if consent.four_eyes else "Somebody, you included,"
    return (
        f"{who} has to approve it in Airflow under Required Actions within "
        f"{duration_in_words(consent.approval_timeout)}; unanswered counts as rejected."
    )


def forecast_in_words(forecast: ForecastSeen | None, rto: timedelta | None, *, replays: bool = False) -> str:
    """How long it will take, by the restores before. :param replays: WAL is replayed after it."""
    asked = f" The objective is {duration_in_words(rto)}." if rto else ""
    if forecast is None:
        return f"Not known: there have been too few restores of its kind.{asked}"
    low, middle, high = (
        duration_in_words(timedelta(seconds=one))
        for one in (forecast.low_seconds, forecast.median_seconds, forecast.high_seconds)
    )
    return (
        f"About {middle}, in eight of ten cases between {low} and {high}, after approval "
        f"(by {forecast.samples} restores, for the newest backup"
        f"{'; replaying WAL written since comes on top' if replays else ''}).{asked}"
    )


def loss_in_words(moment: datetime, now: datetime) -> str:
    """What would be missing afterwards."""
    lost = max(now - moment, timedelta(0))
    return f"Everything after {moment_in_words(moment)}: {duration_in_words(lost)} of changes as of now."


def doubts_about_look(observation: Observation | None, repository: str, now: datetime) -> tuple[str, ...]:
    """Why the plan may not hold: it is as old as the newest look, which may have missed the repository."""
    if observation is None:
        return ("No watch has looked at this target yet: what is planned comes from the inventory alone.",)
    said = []
    if now - observation.observed_at > STALE_AFTER:
        age = in_short(now - observation.observed_at)
        said.append(
            f"The newest look at this target was {age} ago: what has changed since is not in this plan."
        )
    seen = observation.repository(repository)
    if seen is not None and not seen.reachable:
        why = seen.problem or "no reason given"
        said.append(f"Repository {repository} did not answer when it was last looked at: {why}.")
    return tuple(said)
