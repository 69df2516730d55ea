"""Rules for tests of locks: everything of a target stays so long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.object_lock import LockRule

if TYPE_CHECKING:
    from backstop.model.object_lock import LockMode

MONTH = timedelta(days=30)
DAY = timedelta(days=1)


def rule(
    kept: timedelta | None = MONTH, *, mode: LockMode = "compliance", margin: timedelta = DAY
) -> LockRule:
    """:param kept: None: for ever."""
    return LockRule(mode=mode, margin=margin, kept=lambda target, label: kept, longest=lambda target: kept)
