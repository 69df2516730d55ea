"""Whether a backup is about as large as the ones before it let expect. Pure.

Sizes are compared as ratios, on logarithms. The centre is a trend by the median of all slopes between two
backups, which up to 29 % wrong ones cannot move (H. Theil, 1950; P. K. Sen, "Estimates of the regression
coefficient based on Kendall's tau", JASA 63, 1968). The spread is the median absolute deviation, which half
of them cannot (F. R. Hampel, "The influence curve and its role in robust estimation", JASA 69, 1974).

A size is in order when any of three expectations holds it:

* the trend of the last four weeks' worth of backups, with the scatter around it;
* the same weekday, and for more than one backup a day the same time of day, of the weeks before;
* the last seven. What has kept its new size for four backups is the new size, and growth that has only just
  begun is no leap.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.figures import size_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FEWEST = 5
"""Before so many there is no telling what is usual."""
TREND = 28
RECENT = 7
SEASONS = 8
TINY_BYTES = 64 * 1024
"""A smaller difference is noise of formats and headers, whatever its share."""
NARROWEST = math.log(1.25)
"""Nothing between 80 % and 125 % of what is expected is worth a word."""
UNSEEN_WEEKS = math.log(2.05)
"""Before a weekday has been seen twice, a quiet weekend cannot be told from a loss: only what is less than
about half or more than twice is."""
THREE_WEEKS = timedelta(days=21)
DEVIATIONS = 4.0
SCALE = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


@dataclass(frozen=True, order=True, slots=True)
class Sample:
    """The size of one backup, stored or plain, but the same for all that are compared."""

    at: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class SizeAnomaly:
    """A size that is not in line with the ones before.

    :param bytes: of the newest. :param expected_bytes: the most likely size.
    :param low_bytes: and :param high_bytes: what would not have been worth a word.
    :param samples: how many it was compared with.
    :param sentence: all of it in words, without the object's name: ``is 412 MB, 40 % of …``.
    """

    bytes: int
    expected_bytes: int
    low_bytes: int
    high_bytes: int
    samples: int
    sentence: str


@dataclass(frozen=True, slots=True)
class _Band:
    """What is expected, as logarithms."""

    centre: float
    width: float
    like: str

    def holds(self, value: float) -> bool:
        return abs(value - self.centre) <= self.width


def size_anomaly(history: Iterable[Sample], newest: Sample) -> SizeAnomaly | None:
    """What is odd about the size of the newest backup, if anything.

    :param history: earlier ones of the same kind, in any order; what is not older than ``newest`` is left
        out. Full and incremental ones, dumps and each tree are kinds of their own.
    :returns: None when it is in line, differs by next to nothing, or too few are known.
    """
    earlier = sorted(sample for sample in history if sample.at < newest.at)
    if len(earlier) < FEWEST:
        return None
    trend = _trend(earlier[-TREND:], newest.at)
    level = _level(earlier[-RECENT:])
    if newest.at - earlier[0].at < THREE_WEEKS:
        # A slope over one weekend leads astray.
        trend = _Band(level, max(trend.width, UNSEEN_WEEKS), trend.like)
    bands = [trend, _Band(level, NARROWEST, "the last few")]
    season = _season(earlier, newest.at, trend.width)
    if season is not None:
        bands.append(season)
    value = _log(newest.bytes)
    if any(band.holds(value) for band in bands):
        return None
    # A weekend is to be told what is usual of weekends.
    expected = season if season is not None and not trend.holds(season.centre) else trend
    if abs(newest.bytes - math.exp(expected.centre)) < TINY_BYTES:
        return None
    return _worded(newest, expected, len(earlier[-TREND:]))


def _trend(samples: Sequence[Sample], at: datetime) -> _Band:
    """Where the samples lead, and how far they scatter around it."""
    last = samples[-1].at
    days = [(sample.at - last) / timedelta(days=1) for sample in samples]
    logs = [_log(sample.bytes) for sample in samples]
    slopes = [
        (logs[j] - logs[i]) / (days[j] - days[i])
        for j in range(len(logs))
        for i in range(j)
        if days[j] > days[i]
    ]
    slope = statistics.median(slopes) if slopes else 0.0
    level = statistics.median(log - slope * day for log, day in zip(logs, days, strict=True))
    rest = [log - level - slope * day for log, day in zip(logs, days, strict=True)]
    # A trend is carried on no further than half of the time it was seen for.
    ahead = min((at - last) / timedelta(days=1), -days[0] / 2)
    return _Band(level + slope * ahead, max(_width(rest), NARROWEST), f"the last {len(samples)}")


def _season(samples: Sequence[Sample], at: datetime, width: float) -> _Band | None:
    """What is usual at this hour of this weekday, or at this hour where there are several a day.

    Each is taken as a part of the few before it, so that growth since then does not count.
    """
    apart = (samples[-1].at - samples[0].at) / (len(samples) - 1)
    alike = _in_step(samples, at, timedelta(days=7), apart)
    if len(alike) < 2 and apart < timedelta(hours=16):
        alike = _in_step(samples, at, timedelta(days=1), apart)
    if len(alike) < 2:
        return None
    offset = statistics.median(
        _log(samples[place].bytes) - _level(samples[max(place - RECENT, 0) : place])
        for place in alike[-SEASONS:]
    )
    return _Band(_level(samples[-RECENT:]) + offset, width, "those at the same time of the week")


def _in_step(samples: Sequence[Sample], at: datetime, period: timedelta, apart: timedelta) -> list[int]:
    """Places of those about whole periods earlier that have enough before them."""
    near = min(timedelta(hours=2), apart / 2)
    return [
        place
        for place, sample in enumerate(samples)
        if place >= FEWEST
        and at - sample.at >= period - near
        and (at - sample.at + near) % period <= 2 * near
    ]


def _level(samples: Sequence[Sample]) -> float:
    return statistics.median(_log(sample.bytes) for sample in samples)


def _width(rest: Sequence[float]) -> float:
    """How far from the centre is still usual; wider while few are known."""
    deviation = SCALE * statistics.median(abs(value) for value in rest)
    return DEVIATIONS * (1 + 4 / len(rest)) * deviation


def _log(count: int) -> float:
    return math.log(max(count, 1))


def _worded(newest: Sample, expected: _Band, samples: int) -> SizeAnomaly:
    low, middle, high = (round(math.exp(expected.centre + sign * expected.width)) for sign in (-1, 0, 1))
    share = (
        f"{100 * newest.bytes / middle:.0f} %"
        if newest.bytes < 10 * middle
        else (f"{newest.bytes / middle:.0f} times")
    )
    return SizeAnomaly(
        newest.bytes,
        middle,
        low,
        high,
        samples,
        f"is {size_in_words(newest.bytes)}, {share} of what was expected from {expected.like}: "
        f"{size_in_words(middle)}, between {size_in_words(low)} and {size_in_words(high)}",
    )
