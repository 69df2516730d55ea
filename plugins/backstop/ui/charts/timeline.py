"""What can be restored, to scale: stretches to any moment of which, backups as marks, and the gaps between.

One lane a repository and kind. Nothing that is apart in time touches, however narrow the gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 a field's type
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from backstop.model.figures import exact_time
from backstop.ui.charts.scale import TimeScale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.recoverability.backups import StoredBackup
    from backstop.model.observation import WindowSeen
    from backstop.ui.charts.scale import Tick

WIDTH = 1200
_LEFT, _RIGHT = 150, 1186
_TOP, _LANE, _HEADING, _BOTTOM = 26, 24, 24, 8
_GAP = 2.0
_NOW = 55
_LABEL = 18
_SHAPES = {"proven": "proven", "completed": "waiting", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch, to any moment of which the cluster can be recovered."""

    left: float
    right: float
    begins_at: datetime
    ends_at: datetime
    title: str

    @property
    def width(self) -> float:
        return round(self.right - self.left, 2)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch to no moment of which it can, between two that can or up to now."""

    left: float
    right: float
    title: str

    @property
    def width(self) -> float:
        return round(self.right - self.left, 2)


@dataclass(frozen=True, slots=True)
class Mark:
    """One backup. :param shape: ``proven``, ``waiting`` or ``failed``."""

    at: float
    label: str
    shape: str
    title: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """One line of the drawing. :param top: of the lane; it is ``height`` high.

    :param repository: only on the first lane of one; else empty.
    """

    repository: str
    label: str
    top: float
    height: float = _LANE
    bars: tuple[Bar, ...] = ()
    gaps: tuple[Gap, ...] = ()
    marks: tuple[Mark, ...] = ()

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    @property
    def short_label(self) -> str:
        """What there is room for."""
        return self.label if len(self.label) <= _LABEL else f"{self.label[: _LABEL - 1]}…"


@dataclass(frozen=True, slots=True)
class Timeline:
    """The whole drawing."""

    scale: TimeScale
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    height: float
    width: float = WIDTH
    top: float = _TOP

    @property
    def radius(self) -> float:
        """Of marks: smaller where they are many, so that neighbours can be told apart."""
        places = [sorted(mark.at for mark in lane.marks) for lane in self.lanes]
        apart = [median(b - a for a, b in pairwise(row)) for row in places if len(row) > 1]
        return round(min(max(min(apart, default=20.0) * 0.45, 2.2), 6.0), 2)


def draw_timeline(
    windows: Sequence[WindowSeen],
    backups: Sequence[StoredBackup],
    *,
    begins_at: datetime,
    now: datetime,
    held: frozenset[str] = frozenset(),
) -> Timeline:
    """From ``begins_at`` to ``now``; what is older is left out, a window that began earlier is cut.

    :param backups: that are there.
    :param held: labels of those that somebody holds.
    """
    scale = TimeScale(begins_at, now, _LEFT, _RIGHT)
    repositories = sorted({one.repository for one in windows} | {one.repository for one in backups})
    lanes: list[Lane] = []
    top = float(_TOP)
    for repository in repositories:
        first = len(lanes)
        top += _HEADING
        own = [one for one in windows if one.repository == repository and one.ends_at > begins_at]
        for stretch in _without_overlap(own):
            label = "any moment" if len(lanes) == first else f"timeline {stretch[0].timeline}"
            bars = tuple(_bars(stretch, scale))
            lanes.append(
                Lane(
                    "",
                    label,
                    top,
                    bars=bars,
                    gaps=tuple(_gaps(stretch, bars, scale, newest=label == "any moment")),
                )
            )
            top += _LANE
        here = [one for one in backups if one.repository == repository and one.finished_at >= begins_at]
        for component in sorted({one.component for one in here}):
            marks = tuple(_mark(one, scale, held) for one in here if one.component == component)
            lanes.append(Lane("", component.replace(":", " "), top, marks=marks))
            top += _LANE
        if len(lanes) > first:
            lanes[first] = replace(lanes[first], repository=repository)
        else:
            top -= _HEADING
    # The last place is for the word "now".
    ticks = tuple(one for one in scale.ticks() if one.at < _RIGHT - _NOW)
    return Timeline(scale, tuple(lanes), ticks, top + _BOTTOM)


def _without_overlap(windows: Sequence[WindowSeen]) -> list[list[WindowSeen]]:
    """As few rows as possible of windows that do not overlap; that of the newest timeline first."""
    rows: list[list[WindowSeen]] = []
    for one in sorted(windows, key=lambda one: (-one.timeline, one.begins_at)):
        for row in rows:
            if all(one.begins_at >= other.ends_at or one.ends_at <= other.begins_at for other in row):
                row.append(one)
                break
        else:
            rows.append([one])
    return [sorted(row, key=lambda one: one.begins_at) for row in rows]


def _bars(windows: Sequence[WindowSeen], scale: TimeScale) -> list[Bar]:
    """In time order, at least :data:`_GAP` wide, and so far apart where their times are apart."""
    bars: list[Bar] = []
    for one in windows:
        left, right = scale(one.begins_at), scale(one.ends_at)
        if bars and left < bars[-1].right + _GAP:
            left = bars[-1].right + _GAP
        right = max(right, left + _GAP)
        bars.append(Bar(left, right, max(one.begins_at, scale.begins_at), one.ends_at, _window_title(one)))
    # Pushed apart from the left, the last may stand over the edge: push back from the right.
    edge = scale.right
    for index in range(len(bars) - 1, -1, -1):
        bar = bars[index]
        if bar.right > edge:
            left = max(min(bar.left, edge - _GAP), scale.left)
            bars[index] = Bar(left, edge, bar.begins_at, bar.ends_at, bar.title)
        edge = bars[index].left - _GAP
    return bars


def _window_title(one: WindowSeen) -> str:
    text = f"{one.repository}: any moment from {exact_time(one.begins_at)} to {exact_time(one.ends_at)}"
    return text if one.newest or not one.ends_because else f"{text}, where {one.ends_because}"


def _gaps(windows: Sequence[WindowSeen], bars: Sequence[Bar], scale: TimeScale, *, newest: bool) -> list[Gap]:
    gaps = []
    for index, (one, bar) in enumerate(zip(windows, bars, strict=True)):
        because = f": {one.ends_because}" if one.ends_because else ""
        if index + 1 < len(bars):
            begin, end = exact_time(one.ends_at), exact_time(windows[index + 1].begins_at)
            gaps.append(
                Gap(bar.right, bars[index + 1].left, f"gap: no moment from {begin} to {end}{because}")
            )
        elif newest and not one.newest and scale.right - bar.right >= _GAP:
            gaps.append(
                Gap(bar.right, scale.right, f"gap: no moment since {exact_time(one.ends_at)}{because}")
            )
    return gaps


def _mark(one: StoredBackup, scale: TimeScale, held: frozenset[str]) -> Mark:
    kept = ", held" if one.label in held else ""
    title = f"{one.label} in {one.repository}: {one.state}{kept}, finished {exact_time(one.finished_at)}"
    return Mark(scale(one.finished_at), one.label, _SHAPES[one.status], title, one.label in held)
