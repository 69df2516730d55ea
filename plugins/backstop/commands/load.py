"""Loading a fetched dump into an empty database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import RestoreError, ScratchError, ToolError
from backstop.postgres.process import run_tool
from backstop.postgres.restore_failures import explain_restore_failure
from backstop.postgres.tools import pg_restore_argv

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.tools import PostgresTools

_LEFT_OUT = ("--no-tablespaces", "--no-subscriptions")


def load_dump(
    database: ClusterConnection, dump: Path, *, tools: PostgresTools, jobs: int, schema_only: bool = False
) -> None:
    """Run pg_restore into an empty database; the first error stops it.

    Tablespaces and subscriptions stay out: a copy has neither the source's disks nor its publishers.

    :raises RestoreError: the dump does not restore.
    :raises ScratchError: this machine lacks something that the dump needs, such as an extension.
    """
    argv = pg_restore_argv(
        tools,
        directory=dump,
        dbname=database.dbname,
        jobs=jobs,
        options=[*_LEFT_OUT, *(["--schema-only"] if schema_only else [])],
    )
    with database.child_environment(dump.parent) as environment:
        try:
            run_tool(argv, env=environment)
        except ToolError as error:
            missing = explain_restore_failure(error.message, tools.major)
            if missing is not None:
                raise ScratchError(missing, hint="install it on this server, then try again") from error
            raise RestoreError(
                f"the dump does not restore into {database.dbname}: {error.message}",
                hint="the first error above is the cause; other backups may restore",
            ) from error
