"""Pools of Airflow: how much of what strains something shared goes on at the same time."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from backstop.targets.section import Section

DEFAULT_POOL = "default_pool"
"""Airflow's own: always there, and what has no other is in it."""


def _pool_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", text):
        raise ValueError("expected the name of a pool: letters, digits, '_', '.', '-'")
    return text


PoolName = Annotated[str, AfterValidator(_pool_name)]


class Pools(Section):
    """Pools that the tasks of a target take a place in, by what strains something; of `pools` above."""

    transfers: PoolName = DEFAULT_POOL
    """Whatever reads a system and stores it, or moves much between repositories: backups, sync, checks."""
    scratch: PoolName = DEFAULT_POOL
    """Restores into scratch: verifications and drills, each of which takes the disk of a whole system."""
