"""The drawings of a target's year: a row a kind of backup, with its size and durations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from backstop.model.figures import duration_in_words, size_in_words
from backstop.ui.charts.scale import round_up_seconds
from backstop.ui.charts.series import SeriesChart, draw_series

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.commands.recoverability.target import Sample, Series

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Month:
    """The same in figures, for the table. :param cells: median of size, duration, restore; empty: none."""

    name: str
    cells: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Panel:
    """One kind of backup. ``None`` where there is nothing to draw."""

    kind: str
    size: SeriesChart
    duration: SeriesChart
    restore: SeriesChart | None
    months: tuple[Month, ...]


def draw_panels(series: Sequence[Series], *, now: datetime) -> tuple[Panel, ...]:
    """One a kind; the time is the same in all: that of what is known, at least a month."""
    first = min((one.sizes[0].at for one in series if one.sizes), default=now)
    begins_at = max(now - YEAR, min(first, now - timedelta(days=30)))

    def durations(samples: Sequence[Sample]) -> SeriesChart:
        return draw_series(
            samples, begins_at=begins_at, ends_at=now, in_words=_seconds, rounded=round_up_seconds
        )

    return tuple(
        Panel(
            one.kind,
            draw_series(one.sizes, begins_at=begins_at, ends_at=now, in_words=size_in_words),
            durations(one.seconds),
            durations(one.restores) if one.restores else None,
            _months(one),
        )
        for one in series
        if one.sizes
    )


def _months(series: Series) -> tuple[Month, ...]:
    columns = [_by_month(one) for one in (series.sizes, series.seconds, series.restores)]
    words = (size_in_words, _seconds, _seconds)
    names = sorted({name for column in columns for name in column}, reverse=True)
    months = []
    for name in names:
        size, duration, restore = (
            say(median(column[name])) if name in column else ""
            for say, column in zip(words, columns, strict=True)
        )
        months.append(Month(f"{name[0]}-{name[1]:02}", (size, duration, restore)))
    return tuple(months)


def _by_month(samples: Sequence[Sample]) -> dict[tuple[int, int], list[float]]:
    months: dict[tuple[int, int], list[float]] = {}
    for one in samples:
        months.setdefault((one.at.year, one.at.month), []).append(one.value)
    return months


def _seconds(value: float) -> str:
    return duration_in_words(timedelta(seconds=value)) if value else "0"
