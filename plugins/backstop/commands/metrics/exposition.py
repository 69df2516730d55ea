"""Metric families as text, in the format that was asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric


class _Gathered(Collector):
    """What prometheus_client's encoders take; registered nowhere."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(families: Iterable[Metric], *, accept: str = "") -> tuple[bytes, str]:
    """The text and its content type: OpenMetrics if ``accept`` asks for it, else Prometheus' own format."""
    encode, content_type = choose_encoder(accept)
    return encode(_Gathered(families)), content_type


def samples(families: Iterable[Metric]) -> list[dict[str, Any]]:
    """The same for programs that do not speak it: name, labels, value."""
    return [
        {"name": one.name, "labels": dict(one.labels), "value": _plain(one.value)}
        for family in families
        for one in family.samples
    ]


def _plain(value: float) -> float | int:
    return int(value) if math.isfinite(value) and value == int(value) else value
