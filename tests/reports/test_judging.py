"""A forecast is held against the restore itself, not against the waiting for its turn."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from backstop.model.measured import ComponentRecovery, Phase
from backstop.model.observation import ForecastSeen
from backstop.reports.judging import forecasts_of

BEGAN = datetime(2026, 11, 26, 6, 0, tzinfo=timezone.utc)


def test_what_a_component_waited_for_others_is_not_what_its_restore_took() -> None:
    fetch = BEGAN + timedelta(seconds=60)
    recovery = ComponentRecovery(
        component="tree:media",
        repository="local",
        label="20261126T040000Z-tree-media",
        lost_at=BEGAN,
        phases=(
            Phase("detect", BEGAN, BEGAN + timedelta(seconds=1)),
            Phase("fetch", fetch, fetch + timedelta(seconds=8)),
        ),
        downtime=timedelta(seconds=68),
        forecast=ForecastSeen(median_seconds=8, low_seconds=5, high_seconds=12, samples=6),
    )

    [forecast] = forecasts_of([recovery])

    assert (forecast.measured, forecast.within) == (8, True)
