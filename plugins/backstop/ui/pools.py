"""Pools that targets.yaml names and Airflow has not: what is in one is never started, and nobody is told.

Only the API server can ask: tasks and DAG files of Airflow 3 do not reach its database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from backstop.targets import Configuration


def airflow_pools() -> frozenset[str]:
    """Names of the pools that Airflow has."""
    from airflow.models.pool import Pool

    return frozenset(one.pool for one in Pool.get_pools())


def missing_pools(configuration: Configuration, existing: Collection[str]) -> Mapping[str, int]:
    """Each pool that is missing, and how many targets have tasks in it."""
    used = [
        pool for one in configuration.targets.values() for pool in {one.pools.transfers, one.pools.scratch}
    ]
    return {pool: used.count(pool) for pool in sorted({*used} - {*existing})}
