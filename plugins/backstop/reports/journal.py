"""What the journal of an incident comes to: attempts at steps, waits, messages, estimates. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.incident import EventKind, counted
from backstop.model.measured import Outcome
from backstop.reports.judging import Judged, outcome_judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.model.incident import Event

SKIPPED = Judged("unknown", "left out")
WRITING = Judged("good", "this record")
_RECORD = "record"
_NOBODY_READS = {"run"}
"""Of an event: which of two programs wrote it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a step. :param began_at: None: it was left out; :param ended_at: None: it did not end.

    :param number: of the tries at this step, from one on.
    """

    step: str
    number: int
    began_at: datetime | None
    ended_at: datetime | None = None
    judged: Judged = Judged("warning", "did not end")  # noqa: RUF009 frozen
    sentence: str = ""

    @property
    def took(self) -> timedelta | None:
        return self.ended_at - self.began_at if self.began_at and self.ended_at else None


@dataclass(frozen=True, slots=True)
class Wait:
    """People were waited for. :param ended_at: None: still. :param by: who ended it."""

    what: str
    began_at: datetime
    ended_at: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One message to somebody. :param failed: why it did not arrive; empty: it did."""

    at: datetime
    channel: str
    subject: str
    failed: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much longer it would take, and how much longer it took, in seconds and waiting left out.

    :param took: None: it is not known when everything was back.
    """

    at: datetime
    low: float | None
    median: float | None
    high: float | None
    took: float | None = None

    @property
    def judged(self) -> Judged:
        if self.low is None or self.high is None:
            return Judged("unknown", "nobody knew")
        if self.took is None:
            return Judged("unknown", "not known")
        if self.low <= self.took <= self.high:
            return Judged("good", "within the interval")
        return Judged("warning", "faster than told" if self.took < self.low else "slower than told")


def attempts_of(events: Sequence[Event]) -> tuple[Attempt, ...]:
    """In the order of their beginnings; what ends without having begun was left out."""
    found: list[Attempt] = []
    open_: dict[str, int] = {}
    counts: dict[str, int] = {}
    for event in counted(events):
        step = _text(event, "step")
        if event.kind is EventKind.STEP_BEGAN:
            counts[step] = counts.get(step, 0) + 1
            open_[step] = len(found)
            attempt = Attempt(step, counts[step], event.at)
            # The record is made within that step, and so cannot have its end.
            found.append(replace(attempt, judged=WRITING) if step == _RECORD else attempt)
        elif event.kind is EventKind.STEP_ENDED:
            sentence, judged = _text(event, "sentence"), _judged(event)
            index = open_.pop(step, None)
            if index is None:
                counts[step] = counts.get(step, 0) + 1
                found.append(Attempt(step, counts[step], None, event.at, judged, sentence))
            else:
                found[index] = replace(found[index], ended_at=event.at, judged=judged, sentence=sentence)
    return tuple(found)


def waits_of(events: Sequence[Event]) -> tuple[Wait, ...]:
    """As :func:`~backstop.model.incident.waited` counts them: they do not overlap."""
    found: list[Wait] = []
    for event in events:
        running = bool(found) and found[-1].ended_at is None
        if event.kind is EventKind.WAIT_BEGAN and not running:
            found.append(Wait(_text(event, "for") or "people", event.at))
        elif event.kind in (EventKind.WAIT_ENDED, EventKind.CLOSED) and running:
            found[-1] = replace(found[-1], ended_at=event.at, by=_text(event, "by"))
    return tuple(found)


def told_in(events: Sequence[Event]) -> tuple[Told, ...]:
    """Every message, also what did not arrive."""
    return tuple(
        Told(
            event.at,
            _text(event, "channel"),
            _text(event, "subject"),
            _text(event, "failed"),
            _text(event, "text"),
        )
        for event in events
        if event.kind is EventKind.TOLD
    )


def estimates_in(
    events: Sequence[Event], waits: Sequence[Wait], *, back_at: datetime | None
) -> tuple[Estimate, ...]:
    """Each against what came. :param back_at: when everything was back; None: it is not."""
    return tuple(
        Estimate(
            event.at,
            _number(event, "low_seconds"),
            _number(event, "median_seconds"),
            _number(event, "high_seconds"),
            working_seconds(event.at, back_at, waits) if back_at and back_at >= event.at else None,
        )
        for event in events
        if event.kind is EventKind.ESTIMATED
    )


def working_seconds(begins_at: datetime, ends_at: datetime, waits: Sequence[Wait]) -> float:
    """Between two moments, without those in which people were waited for."""
    waited = sum(
        (
            max(timedelta(0), min(one.ended_at or ends_at, ends_at) - max(one.began_at, begins_at))
            for one in waits
        ),
        timedelta(0),
    )
    return (ends_at - begins_at - waited).total_seconds()


def moment_after(begins_at: datetime, work: timedelta, waits: Sequence[Wait]) -> datetime:
    """When so much time will have gone that counts: waiting stops the clock."""
    moment = begins_at + work
    for one in waits:
        if one.ended_at is not None and begins_at <= one.began_at <= moment:
            moment += one.ended_at - one.began_at
    return moment


def facts_in(event: Event) -> Iterator[tuple[str, str]]:
    """What an event says, as text: names and values, what is within another left out."""
    for name, value in event.data.items():
        if name in _NOBODY_READS or value == "" or isinstance(value, bool):
            continue
        if isinstance(value, str | int | float):
            yield str(name).replace("_", " "), str(value)


def _judged(event: Event) -> Judged:
    text = _text(event, "outcome")
    try:
        outcome = Outcome(text)
    except ValueError:
        return Judged("unknown", text or "not known")
    return SKIPPED if outcome is Outcome.NOT_DONE else outcome_judged(outcome)


def _text(event: Event, name: str) -> str:
    value = event.data.get(name)
    return value if isinstance(value, str) else "" if value is None or value is False else str(value)


def _number(event: Event, name: str) -> float | None:
    value = event.data.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
