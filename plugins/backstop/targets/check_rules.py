"""The ``check`` section of a target: how often its stored objects are read again."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from backstop.targets.fields import Duration, Schedule, Share
from backstop.targets.section import Section


class Check(Section):
    """Stored bytes are read again and compared with what they must be, a part of them at a time."""

    schedule: Schedule | None = "H H * * H"
    """When, cron fields in UTC; null: only by hand. Default: weekly, each target at a time of its own."""
    share: Share = 0.05
    """Which part each time: 5%, or 0.05. Successive checks come by everything."""
    jobs: Annotated[int, Field(ge=1, le=32)] = 4
    """Objects read at the same time."""
    orphans_after: Duration = timedelta(days=3)
    """What no backup names counts as left over once it is so old."""
