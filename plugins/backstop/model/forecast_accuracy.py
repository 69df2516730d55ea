"""How well forecasts of restores have hit: each restore against what the ones before it foretold. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.forecast import FEWEST, NEWEST, forecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.model.restore_rates import Restore

JUDGED = 40
"""The newest so many restores are judged: what forecasts were like years ago says nothing of the next one."""


@dataclass(frozen=True, slots=True)
class ForecastAccuracy:
    """:param judged: restores that had enough before them; :param within: of them those in the interval.

    :param median_error: by how much the middling forecast was off, as a part of what the restore took.
    :param median_error_seconds: the same in seconds.
    """

    judged: int
    within: int
    median_error: float
    median_error_seconds: float

    @property
    def share(self) -> float:
        """Of those that lay in the interval; eight of ten should."""
        return self.within / self.judged


def forecast_accuracy(samples: Sequence[Restore], *, newest: int = JUDGED) -> ForecastAccuracy | None:
    """Forecast each restore again from those before it, as it was done then, and compare.

    :param samples: of one kind, oldest first. :param newest: so many of them are judged.
    :returns: None: fewer than four, of which the first three only foretell.
    """
    seen = [one for one in samples if one.seconds > 0][-(newest + NEWEST) :]
    within, off, off_seconds = 0, [], []
    for at in range(max(FEWEST, len(seen) - newest), len(seen)):
        came = seen[at]
        said = forecast(seen[:at], bytes=came.bytes, segments=came.segments)
        if said is None:
            continue
        within += said.low_seconds <= came.seconds <= said.high_seconds
        off_seconds.append(abs(came.seconds - said.median_seconds))
        off.append(off_seconds[-1] / came.seconds)
    if not off:
        return None
    return ForecastAccuracy(
        judged=len(off),
        within=within,
        median_error=round(statistics.median(off), 4),
        median_error_seconds=round(statistics.median(off_seconds), 3),
    )
