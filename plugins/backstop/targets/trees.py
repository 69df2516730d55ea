"""The ``trees`` section of a target: files and folders, how they are backed up, proven and restored."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from backstop.targets.database import Consent, Objectives
from backstop.targets.fields import AbsolutePath, Argv, Duration, Owner, Schedule, Text, TreePath
from backstop.targets.retention import Retention
from backstop.targets.section import NamedSection, Section


class OnChange(Section):
    """A backup whenever something in the tree has changed."""

    settle: Duration = timedelta(seconds=5)
    """A burst of changes is over once nothing has changed for so long; then one backup is taken."""
    at_most: Duration = timedelta(seconds=30)
    """A burst that does not end gets its backup after this time all the same."""
    poll: Duration | None = None
    """Look at the whole tree so often instead of being told by the kernel: for network file systems."""
    watcher: Literal["airflow", "service"] = "airflow"
    """`airflow`: the triggerer watches, so it must see the files; `service`: `python -m backstop watch-files`
    runs on the host that has them."""


class VerifyTree(Section):
    """How backups of the tree are proven: restored into scratch, hashes and metadata compared."""

    policy: Literal["each", "daily", "weekly"] = "each"
    """Which backups: each one, or the newest of each day or week."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Which part of the files is restored, picked at random and recorded; of the others it is checked that
    their packs are there."""


class RestoreTree(Consent):
    """The rules for restoring in place."""

    owner: Owner | None = None
    """Everything restored belongs to this user and group; default: whom it belonged to."""
    after_restore: list[Argv] = Field(default_factory=list)
    """Commands after the swap, each a list of arguments (no shell): reload services."""
    undo_on_failure: bool = True
    """Swap back when one of these commands fails."""
    timeout: Duration = timedelta(seconds=60)
    """For each command."""


class ExpectedFiles(Section):
    """Files that the database expects in the tree."""

    sql: Text
    """Gives one column: paths, absolute or below `below`. Asked of the target's database."""
    below: AbsolutePath
    """The folder that relative paths begin at."""


class Tree(NamedSection):
    """Files and folders that are backed up together."""

    paths: Annotated[list[TreePath], Field(min_length=1)]
    """Absolute paths of folders and files; globs (`*`, `?`, `[a-z]`) match within one folder."""
    exclude: list[Text] = Field(default_factory=list)
    """Globs of what is left out: of names (`*.tmp`), or with a `/` of whole paths (`/srv/media/cache/**`)."""
    schedule: Schedule | None = None
    """When to back up, cron fields in UTC; null: on change, or by hand."""
    on_change: OnChange | None = None
    """Back up whenever something has changed."""
    one_file_system: bool = False
    """Leave out what is mounted below the paths."""
    unreadable: Literal["fail", "list"] = "fail"
    """A file that cannot be read: `fail`: no backup is published; `list`: it is, naming what it lacks."""
    repositories: list[str] = Field(default_factory=list)
    """Where backups go; default: as for the database."""
    retention: Retention = Field(default_factory=dict)
    """How long each repository keeps backups: a duration, or rules (`keep_for`, `keep_last`, `daily`, …); a
    repository not named here keeps them for good."""
    objectives: Objectives = Field(default_factory=Objectives)
    spool: AbsolutePath | None = None
    """Directory for staging; default: as for the database."""
    queue: Text | None = None
    """Airflow queue of the workers on the host that has the files; default: the target's."""
    verify: VerifyTree = Field(default_factory=VerifyTree)
    restore: RestoreTree = Field(default_factory=RestoreTree)
    expected: ExpectedFiles | None = None
    """Compare what is in the tree with what the database says should be there."""
