"""How long a restore would take, from the ones before. Pure.

``seconds = fixed cost + bytes * rate + segments of WAL * rate of replay``, none of them negative
(model/restore_rates.py). The interval comes from how far earlier restores were off, as ratios: by their
quantiles when there are enough, by Student's t when there are few. Those of about the size asked about count
alone where there are some: what else a machine does is much of a second, and little of an hour. It is made
for nine of ten, to hold the eight that it promises: what a machine does besides drifts, and the next ten are
not drawn like the last. Beyond the sizes that were seen, nobody knows whether time grows with size or stays;
the interval then reaches towards both.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from backstop.model.observation import ForecastSeen
from backstop.model.restore_rates import Restore, fitted, volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.model.restore_rates import Rates

__all__ = ["Restore", "forecast"]

FEWEST = 3
NEWEST = 40
NEAR = 2.0
"""Restores that are smaller or larger by no more than this factor scatter alike."""
ENOUGH_NEAR = 4
ENOUGH_FOR_QUANTILES = 9
"""Of fewer, the outermost two say too little of where the outermost twentieths lie."""
STUDENT = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895)
"""By degrees of freedom from one on: nineteen of twenty are below (any table of Student's t)."""
LEAST_OFF = math.log(1.02)
"""No two restores take the same time, whatever the ones so far did."""


def forecast(samples: Sequence[Restore], *, bytes: int, segments: int = 0) -> ForecastSeen | None:
    """A restore of so many bytes and WAL segments: how long it likely takes, and the interval of 8 in 10.

    :param samples: earlier ones of the same kind that succeeded, oldest first; the newest forty count.
    :returns: None when there are fewer than three.
    """
    seen = [sample for sample in samples if sample.seconds > 0][-NEWEST:]
    if len(seen) < FEWEST:
        return None
    rates = fitted(seen)
    near = _near(seen, bytes, segments)
    low, high = _interval(_off(near, rates), rates.learned if near is seen else 1)
    # Of all: of those near alone, more bytes could be said to take less.
    middle = statistics.median(_off(seen, rates))
    predicted = rates.seconds(bytes, segments)
    least, most = _beyond(seen, rates, bytes, segments)
    return ForecastSeen(
        median_seconds=round(predicted * math.exp(middle), 3),
        low_seconds=round(min(predicted, least) * math.exp(min(low, middle - LEAST_OFF)), 3),
        high_seconds=round(max(predicted, most) * math.exp(max(high, middle + LEAST_OFF)), 3),
        samples=len(seen),
    )


def _off(seen: Sequence[Restore], rates: Rates) -> list[float]:
    """How much longer each took than the rates say, as logarithms of ratios."""
    return [math.log(one.seconds / rates.seconds(one.bytes, one.segments)) for one in seen]


def _near(seen: Sequence[Restore], size: int, segments: int) -> Sequence[Restore]:
    """Those of about that size; all of them, where these are too few."""
    asked = volume(size, segments)
    near = [one for one in seen if asked / NEAR <= volume(one.bytes, one.segments) <= asked * NEAR]
    return near if ENOUGH_NEAR <= len(near) < len(seen) else seen


def _interval(off: Sequence[float], learned: int) -> tuple[float, float]:
    """Where the next one lies in nine of ten cases, as logarithms of ratios.

    :param learned: numbers that were chosen to make ``off`` small, and hide as much of the scatter.
    """
    count, middle = len(off), statistics.median(off)
    hidden = math.sqrt(count / (count - learned))
    if count >= ENOUGH_FOR_QUANTILES:
        twentieths = statistics.quantiles(off, n=20, method="exclusive")
        return middle + (twentieths[0] - middle) * hidden, middle + (twentieths[-1] - middle) * hidden
    freedom = count - learned
    deviation = math.sqrt(sum((one - middle) ** 2 for one in off) / freedom)
    reach = STUDENT[freedom - 1] * deviation * math.sqrt(1 + 1 / count)
    return middle - reach, middle + reach


def _beyond(seen: Sequence[Restore], rates: Rates, size: int, segments: int) -> tuple[float, float]:
    """The least and the most a restore may take that is larger or smaller than all before."""
    near_size = min(max(size, min(one.bytes for one in seen)), max(one.bytes for one in seen))
    near_segments = min(max(segments, min(one.segments for one in seen)), max(one.segments for one in seen))
    near = rates.seconds(near_size, near_segments)
    ratio = volume(size, segments) / volume(near_size, near_segments)
    predicted = rates.seconds(size, segments)
    least, most = near * min(ratio, 1.0), near * max(ratio, 1.0)
    if rates.told_apart:
        return math.sqrt(predicted * least), math.sqrt(predicted * most)
    return least, most
