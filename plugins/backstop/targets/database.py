"""The ``database`` section of a target: one database and how it is dumped, proven and restored."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from backstop.targets.fields import AbsolutePath, Answer, Argv, ConnId, Duration, Schedule, Text
from backstop.targets.retention import Retention
from backstop.targets.section import Section


class Objectives(Section):
    """What was asked for; what was achieved is measured."""

    rto: Duration | None = None
    """How long a restore may take."""
    rpo: Duration | None = None
    """How much work may be lost."""


class VerifyQuery(Section):
    """A question to the restored copy and its answer."""

    sql: Text
    expect: Answer
    """One value, or a list of rows."""
    name: Text | None = None
    """For reports; default the query itself."""


class Verify(Section):
    """How backups are proven: by a restore that is compared with the fingerprint."""

    policy: Literal["each", "daily", "weekly"] = "each"
    """Which backups: each one, or the newest of each day or week."""
    queries: list[VerifyQuery] = Field(default_factory=list)
    """Asked of the restored copy after the comparison."""
    isolation: Literal["required", "preferred", "none"] = "required"
    """What a dump contains is code. `required`: refuse to verify where it cannot be kept apart from the
    machine; `preferred`: keep it apart where that works, and say in the proof where it did not."""
    server_conn_id: ConnId | None = None
    """Restore into a fresh database of this server instead of a scratch server on the worker."""


class Consent(Section):
    """Who must agree before anything live is replaced."""

    approval: bool = True
    """Someone must approve before anything live is replaced."""
    four_eyes: bool = True
    """The approver must not be the requester."""
    approval_timeout: Duration = timedelta(hours=1)
    """Unanswered for so long counts as rejected."""


class Restore(Consent):
    """The rules for restoring in place."""

    allow_superuser: bool = False
    """Restore although restore_conn_id is a superuser (what a dump contains is code)."""
    after_restore: list[Text] = Field(default_factory=list)
    """SQL run in the restored copy before anyone connects: masking, re-applied erasures."""
    accept_logical_slots: bool = False
    """Swap although logical replication slots stay with the old database."""


class Application(Section):
    """Commands around a swap, each a list of arguments (no shell). The database must stay up."""

    stop: list[Argv] = Field(default_factory=list)
    start: list[Argv] = Field(default_factory=list)
    probe: list[Argv] = Field(default_factory=list)
    """Must exit 0 once the application works again."""
    timeout: Duration = timedelta(seconds=60)
    """For each command."""


class Database(Section):
    """One PostgreSQL database and how it is backed up, proven and restored."""

    conn_id: ConnId
    """Airflow connection of the least-privilege backup role (include/sql/ has its grants)."""
    restore_conn_id: ConnId | None = None
    """Connection of a role with CREATEDB that is a member of the owner; needed to restore in place."""
    dbname: Annotated[str, Field(min_length=1, max_length=63)]
    schedule: Schedule | None = None
    """When to back up, cron fields in UTC; null: only by hand."""
    jobs: Annotated[int, Field(ge=1, le=32)] = 2
    """Connections that read tables at the same time."""
    fingerprint: Literal["full", "counts"] = "full"
    """`full` hashes every row in the backup's snapshot; `counts` only counts them."""
    snapshot_max: Duration = timedelta(hours=4)
    """A backup that holds its snapshot longer gives up, so that vacuum can work."""
    repositories: Annotated[list[str], Field(min_length=1)]
    """Where backups go, all from one read."""
    retention: Retention = Field(default_factory=dict)
    """How long each repository keeps backups: a duration, or rules (`keep_for`, `keep_last`, `daily`, …); a
    repository not named here keeps them for good."""
    objectives: Objectives = Field(default_factory=Objectives)
    spool: AbsolutePath | None = None
    """Directory for staging; default: beside the first posix repository, else the system's temporary one."""
    verify: Verify = Field(default_factory=Verify)
    restore: Restore = Field(default_factory=Restore)
    application: Application = Field(default_factory=Application)
