"""The fleet that pages are measured on is one that the inventory can hold."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from backstop.repository.observations import Observations
from tests.fleet import TROUBLES, populate

NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)


@pytest.mark.integration
def test_a_small_fleet_has_every_trouble_and_a_readable_observation_of_all_but_one(database):
    names = populate(database, targets=len(TROUBLES), days=100, now=NOW)

    seen = {one.target for one in Observations(database).all()}
    assert set(names) - seen == {names[[one.name for one in TROUBLES].index("never watched")]}
    with database.connect() as session:
        statuses = session.execute(
            "SELECT DISTINCT status FROM public.backup_inventory ORDER BY 1"
        ).fetchall()
        of_nobody = session.execute(
            "SELECT count(*) FROM public.backup_inventory WHERE target = %s", (names[1],)
        ).fetchone()
    assert statuses == [("completed",), ("expired",), ("failed",), ("proven",)]
    assert of_nobody == (0,)
