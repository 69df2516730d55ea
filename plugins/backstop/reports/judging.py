"""What was measured, held against what was asked for: each with a word, and a tone that has its own shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.drill_samples import restore_seconds
from backstop.model.measured import Outcome
from backstop.reports.naming import component_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backstop.model.measured import CheckedItem, ComponentRecovery

_TONES = {
    Outcome.PASSED: "good",
    Outcome.FAILED: "critical",
    Outcome.NOT_DONE: "warning",
    Outcome.NOT_APPLICABLE: "unknown",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """:param tone: ``good``, ``warning``, ``critical`` or ``unknown``."""

    tone: str
    word: str


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of one component.

    :param name: ``RTO`` or ``RPO``. :param asked: None: none was set.
    :param measured: None: not known, or nothing is back.
    """

    name: str
    component: str
    asked: timedelta | None
    measured: timedelta | None
    met: bool | None

    @property
    def judged(self) -> Judged:
        if self.asked is None:
            return Judged("unknown", "none set")
        if self.met is None:
            return Judged("unknown", "not known")
        return Judged("good", "met") if self.met else Judged("critical", "missed")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was expected of one component, and what came: both in seconds, waiting left out.

    :param within: the measured time lies in the interval.
    """

    component: str
    median: float
    low: float
    high: float
    samples: int
    measured: float

    @property
    def within(self) -> bool:
        return self.low <= self.measured <= self.high

    @property
    def judged(self) -> Judged:
        if self.within:
            return Judged("good", "within the interval")
        return Judged(
            "warning", "faster than foreseen" if self.measured < self.low else "slower than foreseen"
        )

    @property
    def off_by(self) -> timedelta:
        return timedelta(seconds=abs(self.measured - self.median))


@dataclass(frozen=True, slots=True)
class ItemGroup:
    """One line of the checklist, with all that was checked under it; empty: nothing was recorded."""

    title: str
    items: tuple[CheckedItem, ...]


def objectives_of(components: Sequence[ComponentRecovery]) -> tuple[Objective, ...]:
    """Of every component both, whether set or not."""
    return tuple(
        objective
        for one in components
        for objective in (
            Objective("RTO", one.component, one.rto, one.downtime, one.rto_met),
            Objective("RPO", one.component, one.rpo, one.loss, one.rpo_met),
        )
    )


def objectives_in_words(objectives: Iterable[Objective]) -> Judged:
    """All of them in one line."""
    asked = [one for one in objectives if one.asked is not None]
    missed = [one for one in asked if one.met is False]
    unknown = [one for one in asked if one.met is None]
    if missed:
        names = ", ".join(f"{one.name} of {component_in_words(one.component)}" for one in missed)
        return Judged("critical", f"{len(missed)} of {len(asked)} objectives missed: {names}")
    if unknown:
        return Judged("unknown", f"{len(unknown)} of {len(asked)} objectives not known, none missed")
    if asked:
        return Judged(
            "good", f"all {len(asked)} objectives met" if len(asked) > 1 else "the objective was met"
        )
    return Judged("unknown", "no objective is set")


def tone_of(result: Judged, objectives: Judged) -> str:
    """Of the whole: what went well, but took or lost too much, is not simply good."""
    missed = objectives.tone == "critical"
    return "warning" if missed and result.tone == "good" else result.tone


def forecasts_of(components: Sequence[ComponentRecovery]) -> tuple[Forecast, ...]:
    """Of those that are back and had one.

    A forecast is of the restore itself: a component's downtime has the waiting for its turn in it, too.
    """
    return tuple(
        Forecast(
            one.component,
            one.forecast.median_seconds,
            one.forecast.low_seconds,
            one.forecast.high_seconds,
            one.forecast.samples,
            restore_seconds(one) or one.downtime.total_seconds(),
        )
        for one in components
        if one.forecast is not None and one.downtime is not None
    )


def outcome_judged(outcome: Outcome) -> Judged:
    """As a word with its tone."""
    return Judged(_TONES[outcome], outcome.value)


def checklist_groups(titles: Mapping[str, str], checklist: Sequence[CheckedItem]) -> tuple[ItemGroup, ...]:
    """In the order of the titles; what has none of them, behind under its own name."""
    others = dict.fromkeys(one.item for one in checklist if one.item not in titles)
    return tuple(
        ItemGroup(title, tuple(one for one in checklist if one.item == item))
        for item, title in (*titles.items(), *((item, item) for item in others))
    )
