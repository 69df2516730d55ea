"""Pools of targets.yaml, in a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded.airflow_api import AirflowApi
from embedded.pools import give_pools

if TYPE_CHECKING:
    from embedded.stack import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]


def test_airflow_has_the_pools_that_are_named_with_as_many_places(running_stack: Stack) -> None:
    server = running_stack.airflow()
    admin = AirflowApi(server.url, sign_in=lambda: server.token("admin"))

    give_pools(admin, {"moved": 8, "made": 1})
    give_pools(admin, {"moved": 3, "made": 1})

    places = {one["name"]: one["slots"] for one in admin.get("/api/v2/pools?limit=100")["pools"]}
    assert (places["moved"], places["made"]) == (3, 1)
