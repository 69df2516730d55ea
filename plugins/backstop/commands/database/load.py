"""Loading a fetched dump into an empty database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backstop.errors import BackstopError, RestoreError, ScratchError, StorageFullError, ToolError
from backstop.postgres.process import run_tool
from backstop.postgres.restore_failures import explain_restore_failure
from backstop.postgres.toc import forces_row_security, refers_from_partitions, schemas_apart
from backstop.postgres.tools import pg_restore_argv
from backstop.sql import load_sql

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.tools import PostgresTools

# Killed (for want of memory, most likely), or its server was, or the line to it broke.
_CUT_OFF = re.compile(
    r"was killed by SIG|server closed the connection|terminating connection|connection to server .* failed"
    r"|out of memory|out of shared memory|the database system is "
)
# For the loading sessions alone. Index builds want memory. Commits need not wait for the disk one by one:
# the swap's own commit, which is synchronous, makes everything before it durable.
_LOADING = "-c maintenance_work_mem=256MB -c synchronous_commit=off"
_LEFT_OUT = ("--no-tablespaces", "--no-subscriptions")


def load_dump(
    database: ClusterConnection, dump: Path, *, tools: PostgresTools, jobs: int, schema_only: bool = False
) -> None:
    """Run pg_restore into an empty database; the first error stops it.

    Tablespaces and subscriptions stay out: a copy has neither the source's disks nor its publishers.

    :raises RestoreError: the dump does not restore.
    :raises ScratchError: this machine lacks something that the dump needs, such as an extension.
    :raises StorageFullError: no space for it; :raises ToolError: pg_restore or the server was killed.
    """
    with database.connect() as session:
        row = session.execute(load_sql("restore/exempt")).fetchone()
    is_superuser, bypasses_row_security = row or (False, False)
    if not bypasses_row_security and jobs > 1 and forces_row_security(dump, tools):
        # A foreign key is checked by reading both tables, which fails once row-level security holds for us
        # too. One job adds foreign keys before it enables that; several do both at the same time.
        jobs = 1
    options = [*_LEFT_OUT, *(["--schema-only"] if schema_only else [])]
    if is_superuser and jobs == 1:
        for sections in _passes(dump, tools, jobs=jobs, schema_only=schema_only):
            _pg_restore(database, dump, tools=tools, jobs=jobs, options=[*options, *sections])
        return
    # PostgreSQL lets no one give an object away to a role that may not create in its schema, and pg_restore
    # grants last; several jobs grant in any order, and a grant in another role's name fails before that role
    # may use the schema. Schemas with their grants come first, then.
    schemas, others = schemas_apart(dump, tools)
    for number, entries in enumerate((schemas, others)):
        chosen = dump.parent / f"{dump.name}-{number}.list"
        chosen.write_text(entries, encoding="ascii")
        for sections in _passes(dump, tools, jobs=jobs, schema_only=schema_only or entries == schemas):
            chosen_part = [*options, f"--use-list={chosen}", *sections]
            _pg_restore(database, dump, tools=tools, jobs=jobs, options=chosen_part)


def _passes(dump: Path, tools: PostgresTools, *, jobs: int, schema_only: bool) -> list[list[str]]:
    """Options for each run of pg_restore: one run as a rule.

    With several jobs it adds a partitioned table's foreign key as soon as the table referred to is loaded,
    because the partitioned table itself has no rows to wait for. Every row of the partitions is then checked
    on its own as it is loaded, instead of all by one query: measured, twice the server's CPU time.
    """
    if jobs == 1 or schema_only or not refers_from_partitions(dump, tools):
        return [[]]
    return [["--section=pre-data", "--section=data"], ["--section=post-data"]]


def _pg_restore(
    database: ClusterConnection, dump: Path, *, tools: PostgresTools, jobs: int, options: list[str]
) -> None:
    argv = pg_restore_argv(tools, directory=dump, dbname=database.dbname, jobs=jobs, options=options)
    with database.child_environment(dump.parent) as environment:
        try:
            settings = f"{environment.get('PGOPTIONS', '')} {_LOADING}".strip()
            run_tool(argv, env={**environment, "PGOPTIONS": settings})
        except ToolError as error:
            raise explain_load_failure(error, database, tools) from error


def explain_load_failure(
    error: ToolError, database: ClusterConnection, tools: PostgresTools
) -> BackstopError:
    """Whether it is the dump that does not restore, or this machine that could not try."""
    missing = explain_restore_failure(error.message, tools.major)
    if missing is not None:
        return ScratchError(missing, hint="install it on this server, then try again")
    if "No space left on device" in error.message:
        return StorageFullError(
            f"no space left where {database.location} keeps its data", hint="free space there, then try again"
        )
    if _CUT_OFF.search(error.message):
        return ToolError(
            f"the restore into {database.location} was cut off: {error.message}",
            hint="nothing is said against the backup: see the server's log, free memory, then try again",
        )
    return RestoreError(
        f"the dump does not restore into {database.dbname}: {error.message}",
        hint="the first error above is the cause; other backups may restore",
    )
