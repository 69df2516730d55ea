"""An incident to scale, since it was declared: people, messages, estimates, every attempt at every step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.figures import duration_in_words, exact_time
from backstop.reports.drawing import LANE, LEFT, RIGHT, TOP, Bar, Drawing, Flag, Lane, Mark, Whisker
from backstop.reports.elapsed import ElapsedScale, scale_of
from backstop.reports.journal import moment_after
from backstop.reports.naming import step_in_words
from backstop.reports.timeline import flag_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.model.measured import ComponentRecovery
    from backstop.reports.journal import Attempt, Estimate, Told, Wait

_ESTIMATES = 6
_ROW = 14.0
_NARROW = 34.0
_FAR = 1e9
"""Seconds: what is later is no time of a recovery, and beyond what a date can be."""


def draw_incident(
    *,
    declared_at: datetime,
    ends_at: datetime,
    back_at: datetime | None,
    components: Sequence[ComponentRecovery],
    attempts: Sequence[Attempt],
    waits: Sequence[Wait],
    told: Sequence[Told],
    estimates: Sequence[Estimate],
) -> Drawing:
    """:param ends_at: of the drawing: when it was closed, or the last that is known.

    :param back_at: when everything was back; None: it is not.
    """
    objectives = {one.component: moment_after(declared_at, one.rto, waits) for one in components if one.rto}
    foreseen = [one.at + timedelta(seconds=min(one.high, _FAR)) for one in estimates if one.high is not None]
    scale = scale_of(
        declared_at, [ends_at], [*objectives.values(), *foreseen], left=LEFT, right=RIGHT, far=1.5
    )
    lanes: list[Lane] = []
    top = TOP

    def add(lane: Lane) -> None:
        nonlocal top
        lanes.append(lane)
        top += lane.height

    if waits:
        add(_waiting(waits, scale, top))
    if told:
        add(_telling(told, scale, top))
    if any(one.median is not None for one in estimates):
        add(_estimates(estimates, scale, top))
    rto = {one.component: one.rto for one in components}
    for step in dict.fromkeys(one.step for one in attempts):
        component = step.partition(":")[2]
        flag = None
        if step.startswith("recover:") and (objective := rto.get(component)):
            flag = flag_of("RTO", objective, objectives[component], scale)
        add(_step(step, [one for one in attempts if one.step == step], scale, top, flag))
    bands = tuple(
        Bar(scale(one.began_at), scale(one.ended_at or ends_at), "wait", f"waiting for {one.what}")
        for one in waits
    )
    end = Flag(scale(back_at), "everything is back") if back_at else None
    height = top + (20 if end else 4)
    return Drawing("What happened, since it was declared", tuple(lanes), scale.ticks(), height, bands, end)


def _waiting(waits: Sequence[Wait], scale: ElapsedScale, top: float) -> Lane:
    bars = []
    for one in waits:
        long = duration_in_words(one.ended_at - one.began_at) if one.ended_at else "it goes on"
        end = scale(one.ended_at) if one.ended_at else scale.right
        bars.append(Bar(scale(one.began_at), end, "wait", f"waiting for {one.what}: {long}"))
    says = "; ".join(bar.title for bar in bars)
    return Lane("waiting for people", top, says, height=_NARROW, bars=tuple(bars))


def _telling(told: Sequence[Told], scale: ElapsedScale, top: float) -> Lane:
    marks = tuple(
        Mark(
            scale(one.at),
            "critical" if one.failed else "good",
            f"{exact_time(one.at)}, {one.channel}: {one.subject}"
            + (f", failed: {one.failed}" if one.failed else ""),
        )
        for one in told
    )
    failed = sum(bool(one.failed) for one in told)
    says = f"{len(told)} messages, {failed} failed"
    return Lane("told", top, says, height=_NARROW, marks=marks)


def _estimates(estimates: Sequence[Estimate], scale: ElapsedScale, top: float) -> Lane:
    known = [one for one in estimates if one.median is not None]
    if len(known) > _ESTIMATES:
        # The first and the last, and evenly between.
        known = [known[round(index * (len(known) - 1) / (_ESTIMATES - 1))] for index in range(_ESTIMATES)]
    whiskers = tuple(_whisker(one, scale, top + 12 + _ROW * row) for row, one in enumerate(known))
    says = "; ".join(one.title for one in whiskers)
    height = max(_NARROW, 20 + _ROW * len(known))
    return Lane("estimates", top, says, height=height, whiskers=whiskers)


def _whisker(one: Estimate, scale: ElapsedScale, y: float) -> Whisker:
    median = one.median or 0.0
    low, high = one.low if one.low is not None else median, one.high if one.high is not None else median

    def at(seconds: float) -> float:
        return scale(one.at + timedelta(seconds=min(seconds, _FAR)))

    words = [duration_in_words(timedelta(seconds=min(value, _FAR))) for value in (median, low, high)]
    title = f"{exact_time(one.at)}: {words[0]} more, between {words[1]} and {words[2]}"
    return Whisker(scale(one.at), at(low), at(median), at(high), y, title)


def _step(step: str, attempts: Sequence[Attempt], scale: ElapsedScale, top: float, flag: Flag | None) -> Lane:
    bars, marks, says = [], [], []
    for one in attempts:
        took: timedelta | None = one.took
        words = one.judged.word + (f" after {duration_in_words(took)}" if took is not None else "")
        title = f"{words}: {one.sentence}" if one.sentence else words
        says.append(title)
        end = scale(one.ended_at) if one.ended_at else scale.right
        if one.began_at is not None:
            bars.append(Bar(scale(one.began_at), end, one.judged.tone, title))
        marks.append(Mark(end, one.judged.tone, title))
    name = step_in_words(step)
    tries = f" ({len(attempts)} tries)" if len(attempts) > 1 else ""
    return Lane(
        name,
        top,
        f"{name}{tries}: {'; then '.join(says)}",
        height=LANE if flag else _NARROW,
        said=attempts[-1].judged.word if attempts[-1].judged.tone != "good" else "",
        said_at=marks[-1].at + 4,
        tone="critical" if attempts[-1].judged.tone == "critical" else "",
        bars=tuple(bars),
        marks=tuple(marks),
        flags=(flag,) if flag else (),
    )
