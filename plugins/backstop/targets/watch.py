"""The ``watch`` section of a target: from when on something is worth telling somebody."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta

from backstop.targets.fields import Duration, Share
from backstop.targets.section import Section


class Watch(Section):
    """Every five minutes somebody looks; this says what is still in order."""

    late_after: Duration = timedelta(hours=1)
    """A backup that is not there so long after it was due is a critical finding."""
    prove_within: Duration = timedelta(hours=24)
    """A backup that policy wants proven and that is not so long after it came is a warning; after three times
    as long it is critical."""
    slot_share: Share = 0.5
    """A replication slot that keeps more than this part of max_slot_wal_keep_size is a warning; beyond half
    of what is left it is critical."""
    free_space: Share = 0.1
    """A repository's or spool's file system with a smaller part free is a warning; below half of it,
    critical."""
    clock_skew: Duration = timedelta(seconds=30)
    """Clocks further apart than this are a warning."""
