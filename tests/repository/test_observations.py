"""What is kept of the newest look at each target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations
from backstop.settings.arguments import utc_now
from tests.watched import well

pytestmark = pytest.mark.integration


@pytest.fixture
def observations(database):
    Inventory(database).migrate()
    return Observations(database)


def test_an_older_look_does_not_replace_a_newer_one(observations):
    newer = well(now=utc_now())
    observations.store([newer])
    observations.store([replace(newer, observed_at=newer.observed_at - timedelta(minutes=1))])

    assert observations.of("calibrify") == newer


def test_a_look_from_the_future_keeps_no_later_one_from_being_seen(observations):
    now = utc_now()
    observations.store([well(now=now + timedelta(days=2))])
    observations.store([well(now=now)])

    assert observations.of("calibrify").observed_at == now
