"""How long a repository keeps backups: a duration, or rules of which any one is enough to keep a backup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from backstop.targets.fields import Duration
from backstop.targets.section import Section

Count = Annotated[int, Field(ge=0, le=100_000)]


class RetentionRules(Section):
    """Rules for one repository. A backup stays as long as any of them wants it."""

    keep_for: Duration | None = None
    """Everything needed to go back so far: all backups of that time, and the newest one from before it."""
    keep_last: Count = 0
    """So many newest ones."""
    daily: Count = 0
    """Of each of so many days (UTC) that have one, the newest; base backups with only the WAL they need."""
    weekly: Count = 0
    """The same of weeks, from Monday."""
    monthly: Count = 0
    """The same of months."""
    yearly: Count = 0
    """The same of years."""
    min_proven: Annotated[int, Field(ge=1, le=100_000)] = 3
    """The newest so many proven ones always stay."""

    @model_validator(mode="after")
    def _lets_something_go(self) -> RetentionRules:
        rules = (self.keep_for, self.keep_last, self.daily, self.weekly, self.monthly, self.yearly)
        if not any(rules):
            raise ValueError(
                "expected keep_for, keep_last, daily, weekly, monthly or yearly (to keep everything, leave "
                "the repository out)"
            )
        return self


def _form(raw: Any) -> str:
    return "<rules>" if isinstance(raw, Mapping | RetentionRules) else "<duration>"


Retention = dict[
    str,
    Annotated[
        Annotated[Duration, Tag("<duration>")] | Annotated[RetentionRules, Tag("<rules>")],
        Discriminator(_form),
    ],
]
"""By repository; a duration is the same as rules with ``keep_for`` alone."""


def as_rules(kept: timedelta | RetentionRules) -> RetentionRules:
    """What stands in targets.yaml for one repository, in its long form."""
    return RetentionRules(keep_for=kept) if isinstance(kept, timedelta) else kept
