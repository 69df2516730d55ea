"""The fleet that pages are shown and measured on is one that the inventory can hold."""

from __future__ import annotations

import pytest

from backstop.repository.observations import Observations
from tests.fleet import name_of
from tests.fleet_troubles import TROUBLES

NAMES = {trouble.name: name_of(number) for number, trouble in enumerate(TROUBLES)}


@pytest.mark.integration
def test_every_trouble_has_a_readable_observation_but_what_was_never_watched(fleet):
    seen = {one.target for one in Observations(fleet).all()}

    assert set(NAMES.values()) - seen == {NAMES["never watched"]}


@pytest.mark.integration
def test_backups_are_in_every_state_but_of_the_one_that_has_none(fleet):
    with fleet.connect() as session:
        statuses = session.execute(
            "SELECT DISTINCT status FROM public.backup_inventory ORDER BY 1"
        ).fetchall()
        of_nobody = session.execute(
            "SELECT count(*) FROM public.backup_inventory WHERE target = %s", (NAMES["never backed up"],)
        ).fetchone()

    assert statuses == [("completed",), ("expired",), ("failed",), ("proven",)]
    assert of_nobody == (0,)
