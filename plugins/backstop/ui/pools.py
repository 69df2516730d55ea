"""Pools that targets.yaml names and that have no place in Airflow: what is in one is never started, and
Airflow says nothing.

Only the API server can ask: tasks and DAG files of Airflow 3 do not reach its database.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from backstop.targets import Configuration


@dataclass(frozen=True, slots=True)
class ClosedPool:
    """:param exists: Airflow has it, with 0 places; :param targets: how many have tasks in it."""

    name: str
    exists: bool
    targets: int


def airflow_pools() -> Mapping[str, int]:
    """The pools that Airflow has, and how many places each; negative: there is no limit."""
    from airflow.models.pool import Pool

    return {one.pool: one.slots for one in Pool.get_pools()}


def places(configuration: Configuration, existing: Mapping[str, int]) -> dict[str, int]:
    """Of each pool that a target has tasks in, its places; 0 also where Airflow has no such pool."""
    return {pool: existing.get(pool, 0) for pool in sorted(_used(configuration, configuration.targets))}


def closed_pools(
    configuration: Configuration, existing: Mapping[str, int], *, seen: Collection[str] | None = None
) -> list[ClosedPool]:
    """Those without a place, by name. :param seen: targets that the viewer may look at; None: all."""
    used = _used(configuration, configuration.targets if seen is None else seen)
    return [
        ClosedPool(pool, pool in existing, used[pool]) for pool in sorted(used) if not existing.get(pool, 0)
    ]


def _used(configuration: Configuration, names: Collection[str]) -> Counter[str]:
    targets = [one for one in configuration.targets.values() if one.name in names]
    return Counter(pool for one in targets for pool in {one.pools.transfers, one.pools.scratch})
