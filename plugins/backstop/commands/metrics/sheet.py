"""Samples as they are gathered, one family a series."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from backstop.commands.metrics.series import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backstop.commands.metrics.series import Series


class Sheet:
    """What is not known has no sample: neither 0 nor NaN says "nobody knows"."""

    def __init__(self) -> None:
        self._families = {
            one.name: GaugeMetricFamily(one.name, one.documentation, labels=one.labels) for one in SERIES
        }

    def set(
        self, series: Series, labels: Iterable[str], value: float | bool | datetime | timedelta | None
    ) -> None:
        """Add a sample, in base units; none for None."""
        number = _number(value)
        if number is not None:
            self._families[series.name].add_metric(list(labels), number)

    def state(self, series: Series, labels: Iterable[str], state: str, known: Iterable[str]) -> None:
        """1 for the state, 0 for each other one that is known."""
        for one in dict.fromkeys((*known, state)):
            self.set(series, (*labels, one), one == state)

    def families(self) -> Iterator[GaugeMetricFamily]:
        """Those that have samples, in the order of the declarations."""
        return (family for family in self._families.values() if family.samples)


def _number(value: float | bool | datetime | timedelta | None) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return None if value is None else float(value)
