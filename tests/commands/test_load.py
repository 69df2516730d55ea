"""Loading a dump with several jobs at a time."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from backstop.commands.database.load import load_dump
from backstop.postgres.tools import PostgresTools, pg_dump_argv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

SCHEMAS = JOBS = 8
TRIES = 8


@pytest.fixture
def role(postgres16: EmbeddedPostgres) -> Iterator[str]:
    name = f"grantor_{secrets.token_hex(4)}"
    with postgres16.connect() as session:
        session.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    yield name
    with postgres16.connect() as session:
        session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_grants_that_a_role_passed_on_restore_whatever_the_jobs_do_first(
    role: str,
    postgres16: EmbeddedPostgres,
    new_database: Callable[[EmbeddedPostgres], ClusterConnection],
    tmp_path: Path,
):
    source = new_database(postgres16)
    with source.connect() as session:
        for number in range(SCHEMAS):
            schema, table = sql.Identifier(f"s{number}"), sql.Identifier(f"s{number}", "t")
            for statement in (
                sql.SQL("CREATE SCHEMA {0}").format(schema),
                sql.SQL("GRANT USAGE ON SCHEMA {0} TO {1}").format(schema, sql.Identifier(role)),
                sql.SQL("CREATE TABLE {0} (a int)").format(table),
                sql.SQL("GRANT SELECT ON {0} TO {1} WITH GRANT OPTION").format(table, sql.Identifier(role)),
                sql.SQL("SET ROLE {0}").format(sql.Identifier(role)),
                sql.SQL("GRANT SELECT ON {0} TO PUBLIC").format(table),
                sql.SQL("RESET ROLE"),
            ):
                session.execute(statement)
    tools = PostgresTools.find(16)
    dump = tmp_path / "dump"
    with source.child_environment(tmp_path) as environment:
        subprocess.run(pg_dump_argv(tools, directory=dump), env=environment, check=True)

    # Which job comes first is chance: nearly every second try failed when schemas did not go ahead.
    for _ in range(TRIES):
        copy = new_database(postgres16)
        load_dump(copy, dump, tools=tools, jobs=JOBS)
        with copy.connect() as session:
            granted = session.execute(
                "SELECT count(*) FROM pg_catalog.pg_class "
                "WHERE relname = 't' AND relacl::text LIKE '%%=r/' || %s || '%%'",
                [role],
            ).fetchone()
        assert granted == (SCHEMAS,)
