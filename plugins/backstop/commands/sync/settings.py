"""How a target's repositories are kept in step."""

# ruff: noqa: TC001, TC003 the alias is made of them
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from backstop.model.backup import BackupLabel
from backstop.model.retention import Candidate, RetentionPlan, WalSeen

Retention: TypeAlias = Callable[[str, Sequence[Candidate], datetime, Mapping[str, WalSeen]], RetentionPlan]
"""What a repository, by name, would keep of these backups now, and of this WAL, by cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """What goes where.

    :param staging: a folder for private folders with room for ``copies_at_once`` objects, 4 GiB each at most.
    :param places: names of the repositories that should have backups with this label; none of a tree that
        targets.yaml does not name any more.
    :param wal_places: names of the repositories that should have the cluster's WAL.
    :param retention: None: every repository keeps everything.
    :param publish_every: manifests wait for each other no longer than so many seconds, so that their lease is
        taken once; a crash leaves what was copied, and the next run publishes it.
    """

    staging: Path
    places: Callable[[BackupLabel], Collection[str]]
    wal_places: Collection[str]
    retention: Retention | None = None
    copies_at_once: int = 4
    publish_every: float = 60.0
