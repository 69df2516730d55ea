"""How a figure went over time: a line, and for each stretch of it the figures in words."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from backstop.model.figures import exact_day
from backstop.ui.charts.scale import TimeScale, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.commands.recoverability.target import Sample
    from backstop.ui.charts.scale import Tick

WIDTH, HEIGHT = 560, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 536, 12, 122
_STRETCHES = 60
_APART = 0.1
"""A line is broken where nothing came for so large a part of the time: it would invent what lies between."""


@dataclass(frozen=True, slots=True)
class Point:
    """One stretch of the line: its median, and what is said when one points at it."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class SeriesChart:
    """One drawing. :param paths: each a list of ``x,y``; :param ticks: of time; :param levels: of the figure.

    :param newest: the newest figure in words; empty without any.
    """

    paths: tuple[str, ...]
    points: tuple[Point, ...]
    ticks: tuple[Tick, ...]
    levels: tuple[tuple[float, str], ...]
    newest: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    right: float = _RIGHT
    bottom: float = _BOTTOM


def draw_series(
    samples: Sequence[Sample],
    *,
    begins_at: datetime,
    ends_at: datetime,
    in_words: Callable[[float], str],
    rounded: Callable[[float], float] = round_up,
) -> SeriesChart:
    """At most sixty points, each the median of its stretch of time; the axis begins at zero.

    :param samples: oldest first.
    :param rounded: where the axis ends.
    """
    scale = TimeScale(begins_at, ends_at, _LEFT, _RIGHT)
    top = rounded(max((one.value for one in samples), default=1.0))
    stretches = _stretches(samples, scale)
    points = tuple(_point(stretch, scale, top, in_words) for stretch in stretches)
    return SeriesChart(
        tuple(_paths(points)),
        points,
        scale.ticks(apart=70),
        tuple((_height(share * top, top), in_words(share * top)) for share in (0.0, 0.5, 1.0)),
        in_words(samples[-1].value) if samples else "",
    )


def _stretches(samples: Sequence[Sample], scale: TimeScale) -> list[list[Sample]]:
    width = (scale.right - scale.left) / _STRETCHES
    stretches: dict[int, list[Sample]] = {}
    for one in samples:
        stretches.setdefault(int((scale(one.at) - scale.left) / width), []).append(one)
    return [stretches[index] for index in sorted(stretches)]


def _point(
    stretch: Sequence[Sample], scale: TimeScale, top: float, in_words: Callable[[float], str]
) -> Point:
    middle = stretch[len(stretch) // 2]
    value = median(one.value for one in stretch)
    when = exact_day(middle.at)
    if len(stretch) > 1:
        when = f"{exact_day(stretch[0].at)} to {exact_day(stretch[-1].at)}, median of {len(stretch)}"
    return Point(scale(middle.at), _height(value, top), f"{in_words(value)} ({when})")


def _height(value: float, top: float) -> float:
    return round(_BOTTOM - value / top * (_BOTTOM - _TOP), 2)


def _paths(points: Sequence[Point]) -> list[str]:
    paths: list[list[Point]] = []
    for one in points:
        if paths and one.x - paths[-1][-1].x <= _APART * (_RIGHT - _LEFT):
            paths[-1].append(one)
        else:
            paths.append([one])
    return [" ".join(f"{one.x:g},{one.y:g}" for one in path) for path in paths]
