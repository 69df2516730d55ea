"""What is kept where: as in the procedures that were asked for, and some of what others have besides."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.retention import RetentionPolicy
from tests.simulation.world import LOCAL, REMOTE

if TYPE_CHECKING:
    from backstop.model.backup import BackupLabel

GRACE = timedelta(days=2)
_DAYS = timedelta(days=1)

POLICIES = {
    LOCAL: {
        "database": RetentionPolicy(keep_for=30 * _DAYS),
        "base": RetentionPolicy(keep_for=30 * _DAYS),
        "tree": RetentionPolicy(keep_for=7 * _DAYS),
    },
    REMOTE: {
        "database": RetentionPolicy(keep_for=90 * _DAYS, monthly=6),
        "base": RetentionPolicy(keep_for=60 * _DAYS, monthly=5, min_proven=2),
        "tree": RetentionPolicy(keep_for=30 * _DAYS, weekly=8, keep_last=10),
    },
}


def policy_of(repository: str, label: BackupLabel) -> RetentionPolicy:
    """For one backup there."""
    policies = POLICIES[repository]
    return policies["tree" if label.tree else "base" if label.kind.physical else "database"]
