"""How well forecasts have hit: each restore against what the ones before it foretold."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.model.drill_samples import drilled_restores, oldest_first, restore_seconds
from backstop.model.forecast import Restore, forecast
from backstop.model.forecast_accuracy import JUDGED, forecast_accuracy
from tests.evidenced import BASE, DRILL, FAILED_DRILL, MEDIA, NOON, phases

MB = 1_000_000


def restores(count: int, *, seed: int = 1, spread: float = 0.1) -> list[Restore]:
    """Of sizes between 50 and 500 MB, at 20 MB/s, half of them within ``spread``."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        size = rng.randrange(50, 500) * MB
        made.append(Restore(size, (5 + size / (20 * MB)) * rng.uniform(1 - spread, 1 + spread)))
    return made


def test_a_forecast_looks_at_the_newest_whether_proof_or_drill():
    proofs = [(NOON, Restore(1, 1.0)), (NOON + timedelta(days=2), Restore(1, 3.0))]
    drill = (NOON + timedelta(days=1), Restore(1, 2.0))

    assert [one.seconds for one in oldest_first([*proofs, drill])] == [1.0, 2.0, 3.0]


def test_three_restores_only_foretell():
    assert forecast_accuracy(restores(3)) is None
    found = forecast_accuracy(restores(4))
    assert found is not None
    assert found.judged == 1


def test_each_restore_is_judged_by_those_before_it_alone():
    samples = [*restores(12), Restore(100 * MB, 1_000.0)]
    found = forecast_accuracy(samples, newest=1)
    said = forecast(samples[:-1], bytes=100 * MB)

    assert found is not None
    assert said is not None
    assert (found.judged, found.within) == (1, 0)
    assert found.median_error_seconds == pytest.approx(1_000 - said.median_seconds, abs=0.01)
    assert found.median_error == pytest.approx((1_000 - said.median_seconds) / 1_000, abs=1e-3)


def test_steady_restores_are_foretold_well():
    found = forecast_accuracy(restores(60))

    assert found is not None
    assert found.judged == JUDGED
    assert found.share >= 0.7
    assert found.median_error < 0.1


def test_a_machine_that_changed_is_noticed():
    steady = restores(20)
    slower = [replace(one, seconds=one.seconds * 3) for one in restores(8, seed=2)]
    found = forecast_accuracy([*steady, *slower], newest=8)

    assert found is not None
    assert found.share < 0.8
    assert found.median_error > 0.3


def test_only_the_newest_are_judged():
    bad = [Restore(100 * MB, float(seconds)) for seconds in (1, 100, 3, 900, 7, 400, 2, 800)]

    assert forecast_accuracy([*bad * 5, *restores(80)]) == forecast_accuracy(restores(80))


def test_a_drill_tells_how_long_each_of_its_components_took_by_itself():
    found = drilled_restores([DRILL])

    assert MEDIA.downtime == timedelta(seconds=4799), "it waited for the database"
    ((at, media),) = found["tree:media"]
    assert media == Restore(MEDIA.bytes or 0, 1360.0 + 2011 + 240)
    assert at == MEDIA.phases[-1].ended_at
    ((_, base),) = found["base"]
    assert base == Restore(BASE.bytes or 0, 412.0 + 655 + 118, 1204), "noticing the disaster is no restoring"


def test_what_did_not_come_back_tells_nothing():
    assert "base" not in drilled_restores([FAILED_DRILL])


def test_drills_are_put_in_the_order_of_time():
    earlier = replace(
        DRILL, components=(replace(BASE, phases=phases(NOON - timedelta(days=30), fetch=10, validate=1)),)
    )
    found = drilled_restores([DRILL, earlier])["base"]

    assert [restore.seconds for _, restore in found] == [11.0, restore_seconds(BASE)]
