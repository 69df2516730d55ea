"""The ``cluster`` section of a target: base backups, WAL and recovery of the whole server."""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from backstop.targets.database import Consent, VerifyQuery
from backstop.targets.fields import AbsolutePath, Argv, ConnId, Duration, Schedule, SlotName, Text
from backstop.targets.retention import Retention
from backstop.targets.section import Section


class WalArchiving(Section):
    """How the write-ahead log gets into the repositories."""

    runner: Literal["service", "airflow"] = "service"
    """`service`: `python -m backstop archive-wal` runs by itself and the DAG watches it; `airflow`: the DAG
    runs it, in a task that never ends."""
    slot: SlotName | None = None
    """Name of the physical replication slot; default backstop_<target>."""
    synchronous: bool = False
    """Commits wait until a repository has them; backstop_wal must stand in synchronous_standby_names."""
    archive_directory: AbsolutePath | None = None
    """A directory that an archive_command copies to: shipped too, and pruned of what is stored."""


class FileCopy(Section):
    """Full base backups read on the database's own host: the worker of the target's `queue` must be there.

    The server then sends nothing; several readers read its files, each encrypting what it reads.
    """

    data_directory: AbsolutePath
    """That the server runs on, as the worker sees it, who must be able to read every file in it."""
    database: Text = "postgres"
    """Where the role has the rights of include/sql/roles/file_copy_role.sql; best not the database to
    protect, whose dumps they would be part of."""
    readers: Annotated[int, Field(ge=1, le=16)] = 2
    """Parts that are read at the same time; each takes up to one processor of the database's host."""


class Cutover(Section):
    """How a recovered cluster takes the live one's place, on the database's own host."""

    data_directory: AbsolutePath
    """The live data directory: renamed and kept, never overwritten."""
    stop: Annotated[list[Argv], Field(min_length=1)]
    """Commands that stop the live server, each a list of arguments (no shell)."""
    start: Annotated[list[Argv], Field(min_length=1)]
    """Commands that start the server on that directory again."""
    probe: list[Argv] = Field(default_factory=list)
    """Must exit 0 once the server and its application work again."""
    timeout: Duration = timedelta(minutes=5)
    """For each command."""


class Recovery(Consent):
    """Where and how clusters are recovered to a point in time."""

    directory: AbsolutePath
    """Recovered clusters are made below it; needs room for the whole cluster."""
    run_as: Text | None = None
    """Operating system user of servers started here; default: whoever runs the task (PostgreSQL refuses
    root)."""
    queries: list[VerifyQuery] = Field(default_factory=list)
    """Asked of the recovered cluster's database before anyone may use it."""
    superuser: Text = "postgres"
    """A role of the cluster that may read everything; it exists in every recovered copy."""
    cutover: Cutover | None = None
    """How the live cluster is replaced; without it, recovered clusters are only left beside."""


class Cluster(Section):
    """The whole PostgreSQL server: base backups and continuous WAL, for recovery to any moment.

    Goes to the repositories of `database`, under the same keys.
    """

    conn_id: ConnId
    """Airflow connection of a role with REPLICATION (include/sql/roles/replication_role.sql)."""
    full: Schedule | None = None
    """When to take a full base backup, cron fields in UTC; null: only by hand."""
    incremental: Schedule | None = None
    """When to take an incremental one; needs PostgreSQL 17 and summarize_wal."""
    file_copy: FileCopy | None = None
    """Read the files of full base backups on the database's own host; without it the server sends them."""
    spool: AbsolutePath | None = None
    """Directory for WAL and base backups on their way; default: as for the database."""
    wal: WalArchiving = Field(default_factory=WalArchiving)
    """How the write-ahead log gets into the repositories."""
    verify: Literal["each", "daily", "weekly"] = "each"
    """Which base backups are proven by a recovery: each one, or the newest of each day or week."""
    retention: Retention | None = None
    """How long each repository keeps base backups, and the WAL they need; default: as for the database."""
    recovery: Recovery | None = None
    """Where clusters are recovered; without it they can only be verified."""
