"""What a timeline is made of: lanes, one below the other, on one axis of time. Templates turn it into SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.reports.elapsed import Tick

WIDTH = 1000.0
LEFT, RIGHT = 176.0, 876.0
TOP = 30.0
LANE = 46.0
_LABEL = 23
_LEAST = 2.0
_ROOM = 15.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time. :param look: which fill; :param title: what is said when one points at it."""

    left: float
    right: float
    look: str
    title: str
    letter: str = ""

    @property
    def width(self) -> float:
        return round(max(self.right - self.left, _LEAST), 2)

    @property
    def fits(self) -> bool:
        """Whether there is room for its letter."""
        return bool(self.letter) and self.width >= _ROOM

    @property
    def middle(self) -> float:
        return round(self.left + self.width / 2, 2)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment. :param tone: its shape and colour."""

    at: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Flag:
    """An objective. :param beyond: it lies behind the edge of the drawing, at which it is said."""

    at: float
    label: str
    beyond: bool = False

    @property
    def anchor(self) -> str:
        if self.beyond or self.at > RIGHT - 60:
            return "end"
        return "start" if self.at < LEFT + 60 else "middle"


@dataclass(frozen=True, slots=True)
class Whisker:
    """An estimate: when it would end, at the earliest, probably and at the latest."""

    made: float
    low: float
    median: float
    high: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One line. :param said: what it comes to; :param says: all of it, for whoever cannot see it."""

    label: str
    top: float
    says: str
    height: float = LANE
    said: str = ""
    said_at: float = RIGHT
    tone: str = ""
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()
    flags: tuple[Flag, ...] = ()
    whiskers: tuple[Whisker, ...] = ()
    rail: tuple[float, float] | None = None

    @property
    def middle(self) -> float:
        return self.top + 15

    @property
    def short_label(self) -> str:
        """What there is room for."""
        return self.label if len(self.label) <= _LABEL else f"{self.label[: _LABEL - 1]}…"


@dataclass(frozen=True, slots=True)
class Drawing:
    """All of it. :param bands: stretches that cross every lane; :param end: a line through all of them."""

    title: str
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    height: float
    bands: tuple[Bar, ...] = ()
    end: Flag | None = None
    width: float = WIDTH
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP

    @property
    def has_flags(self) -> bool:
        """Whether there is an objective in it."""
        return any(lane.flags for lane in self.lanes)
