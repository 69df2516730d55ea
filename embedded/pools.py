"""Gives Airflow the pools that targets.yaml names: what is in one that it has not is never started."""

from __future__ import annotations

import urllib.error
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from embedded.airflow_api import AirflowApi


def give_pools(admin: AirflowApi, pools: Mapping[str, int]) -> None:
    """Make those that are missing, and give each its number of places. :param pools: places by name."""
    for name, slots in pools.items():
        path = f"/api/v2/pools/{urllib.parse.quote(name, safe='')}"
        said = {"slots": slots, "description": "Backstop, targets.yaml", "include_deferred": False}
        try:
            if admin.get(path)["slots"] != slots:
                admin.send("PATCH", path, {"pool": name, **said})
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            admin.send("POST", "/api/v2/pools", {"name": name, **said})
