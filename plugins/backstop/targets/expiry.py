"""The ``expiry`` section of a target: when retention is carried out, and who must agree to much of it."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from backstop.targets.database import Consent
from backstop.targets.fields import Duration, Schedule


class Expiry(Consent):
    """When what retention lets go is removed; how much of it needs somebody's consent."""

    schedule: Schedule | None = "H 4 * * *"
    """When to remove what retention lets go, cron fields in UTC; null: only by hand. Default: daily after
    04:00, each target at a minute of its own."""
    approve_above: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A plan that would remove more than this share of a repository's dumps, base backups, or backups of any
    one tree, by number or by bytes, waits for somebody's approval; WAL does not count."""
    approval: bool = True
    """Whether there are such plans; false: whatever retention lets go is removed at once."""
    approval_timeout: Duration = timedelta(hours=12)
    """Unanswered for so long counts as rejected; nothing is removed then."""
