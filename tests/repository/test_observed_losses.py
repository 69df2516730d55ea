"""What watches saw to be at risk is kept, so that a drill can ask what a disaster would have cost then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backstop.model.observation import WalSeen
from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations
from backstop.repository.observed_losses import KEPT, losses_around
from backstop.settings.arguments import utc_now
from tests.watched import well

pytestmark = pytest.mark.integration

NOW = utc_now()
NEAR = timedelta(minutes=10)


@pytest.fixture
def inventory(database):
    made = Inventory(database)
    made.migrate()
    return made


def seen(inventory, at, **losses):
    wal = WalSeen(observed_rpo=dict(losses))
    Observations(inventory.connection).store([replace(well(now=at), observed_at=at, wal=wal)])


def test_each_watch_is_kept_by_repository_where_the_newest_look_replaces_the_one_before(inventory):
    seen(inventory, NOW - timedelta(minutes=5), local=timedelta(seconds=2), s3=timedelta(hours=1))
    seen(inventory, NOW, local=timedelta(seconds=3), s3=None)

    assert losses_around(inventory, "calibrify", "local", NOW, within=NEAR) == [
        (NOW - timedelta(minutes=5), timedelta(seconds=2)),
        (NOW, timedelta(seconds=3)),
    ]
    assert losses_around(inventory, "calibrify", "s3", NOW, within=NEAR)[-1] == (NOW, None)


def test_only_what_was_seen_around_the_moment_is_told(inventory):
    seen(inventory, NOW - timedelta(hours=1), local=timedelta(seconds=2))

    assert losses_around(inventory, "calibrify", "local", NOW, within=NEAR) == []
    assert losses_around(inventory, "other", "local", NOW - timedelta(hours=1), within=NEAR) == []


def test_what_no_drill_asks_for_any_more_goes(inventory):
    old = NOW - KEPT - timedelta(hours=1)
    seen(inventory, old, local=timedelta(seconds=2))
    assert losses_around(inventory, "calibrify", "local", old, within=NEAR) != []

    seen(inventory, NOW, local=timedelta(seconds=2))

    assert losses_around(inventory, "calibrify", "local", old, within=NEAR) == []


def test_a_target_without_wal_has_nothing_to_keep(inventory):
    Observations(inventory.connection).store([replace(well(now=NOW), wal=None)])

    assert losses_around(inventory, "calibrify", "local", NOW, within=NEAR) == []
