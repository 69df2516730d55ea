from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from backstop.errors import SourceError
from backstop.postgres import preflight
from backstop.postgres.fingerprint import take_content
from backstop.postgres.preflight import check_source
from backstop.postgres.process import run_tool
from backstop.postgres.snapshot import hold_snapshot
from backstop.postgres.tools import PostgresTools, pg_dump_argv, pg_dumpall_argv
from embedded.postgres import pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration

ROLE_SQL = Path("include/sql/roles/backup_role.sql")
SCHEMA = """
CREATE SCHEMA private;
CREATE TABLE private."Secret Table" (id serial, s text);
CREATE TABLE public.guarded (i integer);
ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY;
INSERT INTO public.guarded VALUES (1);
SELECT lo_from_bytea(4711, 'x'), lo_from_bytea(4712, 'y');
"""


def grant(connection: ClusterConnection, role: str, folder: Path) -> None:
    """Run the file that users run."""
    with connection.child_environment(folder) as environment:
        subprocess.run(
            [str(pip_postgres_bin() / "psql"), "-Xq", "-v", f"role={role}", "-f", str(ROLE_SQL)],
            env=environment,
            check=True,
        )


@pytest.fixture
def role(any_database, tmp_path) -> Iterator[str]:
    name = f"Backup {tmp_path.name[-6:]}"
    with any_database.connect() as session:
        session.execute(SCHEMA)
        session.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(name)))
        yield name
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            session.execute(sql.SQL(statement).format(sql.Identifier(name)))


def test_a_superuser_misses_nothing(any_database):
    facts = check_source(any_database)

    with any_database.connect() as session:
        identity = session.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
    assert facts.missing == ()
    assert (facts.system_id,) == identity
    assert facts.major == facts.server_version // 10000 in (15, 16, 18)
    assert (facts.timeline, facts.database, facts.is_superuser) == (1, any_database.dbname, True)
    assert facts.bootstrap_superuser == "postgres"
    assert facts.role_passwords
    assert facts.lock_capacity > 6000


def test_a_role_without_grants_is_told_each_of_them_at_once(any_database, role):
    with pytest.raises(SourceError) as caught:
        check_source(replace(any_database, user=role, password="x"))

    message = str(caught.value)
    assert f"the backup role {role} cannot read all of {any_database.dbname}" in message
    assert 'table private."Secret Table", public.guarded;' in message
    assert 'sequence private."Secret Table_id_seq"' in message
    assert "large object 4711, 4712" in message
    assert "backup_role.sql" in caught.value.hint


def test_the_role_script_grants_what_a_complete_dump_and_fingerprint_need(any_database, role, tmp_path):
    grant(any_database, role, tmp_path)
    grant(any_database, role, tmp_path)
    backup = replace(any_database, user=role, password="x")

    facts = check_source(backup)
    tools = PostgresTools.find(facts.major)
    with (
        hold_snapshot(backup, attempt="role", max_age=timedelta(hours=1)) as held,
        backup.child_environment(tmp_path, application_name=held.application_name) as environment,
    ):
        argv = pg_dump_argv(tools, directory=tmp_path / "dump", jobs=2, snapshot_id=held.snapshot_id)
        run_tool(argv, env=environment)
        tables, large_objects = take_content(backup, tables=held.tables, snapshot_id=held.snapshot_id)
        roles = run_tool(
            pg_dumpall_argv(tools, database=backup.dbname, role_passwords=facts.role_passwords),
            env=environment,
        )

    assert {table.name: table.rows for table in tables} == {'private."Secret Table"': 0, "public.guarded": 1}
    assert large_objects.rows == 2
    assert f'CREATE ROLE "{role}"' in roles
    assert facts.missing == ()
    assert not facts.is_superuser


def test_a_role_that_may_read_just_the_tables_lacks_the_roles_passwords_and_says_so(
    any_database, role, tmp_path
):
    with any_database.connect() as session:
        for statement in (
            "GRANT USAGE ON SCHEMA private TO {}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public, private TO {}",
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, private TO {}",
            "GRANT SELECT ON LARGE OBJECT 4711, 4712 TO {}",
            "ALTER ROLE {} BYPASSRLS",
        ):
            session.execute(sql.SQL(statement).format(sql.Identifier(role)))
    backup = replace(any_database, user=role, password="x")

    facts = check_source(backup)
    with backup.child_environment(tmp_path) as environment:
        roles = run_tool(
            pg_dumpall_argv(
                PostgresTools.find(facts.major), database=backup.dbname, role_passwords=facts.role_passwords
            ),
            env=environment,
        )

    assert facts.missing == ("passwords of roles (pg_authid is not readable for the backup role)",)
    assert f'CREATE ROLE "{role}"' in roles
    assert "SCRAM" not in roles


def test_rows_that_row_level_security_hides_are_refused_by_name(any_database, role, tmp_path):
    grant(any_database, role, tmp_path)
    with any_database.connect() as session:
        session.execute(sql.SQL("ALTER ROLE {} NOBYPASSRLS").format(sql.Identifier(role)))

    with pytest.raises(
        SourceError, match=r"row-level security hides rows .* of table public\.guarded$|guarded —"
    ):
        check_source(replace(any_database, user=role, password="x"))


def test_large_objects_made_later_are_readable_in_advance_on_18(database, tmp_path):
    name = f"later_{tmp_path.name[-6:]}"
    with database.connect() as session:
        grant(database, name, tmp_path)
        session.execute(sql.SQL("ALTER ROLE {} PASSWORD 'x'").format(sql.Identifier(name)))
        session.execute("SELECT lo_from_bytea(4711, 'x')")
        try:
            check_source(replace(database, user=name, password="x"))
        finally:
            session.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_subscription_that_only_a_superuser_can_dump_is_listed(database, tmp_path):
    name = f"lister_{tmp_path.name[-6:]}"
    with database.connect() as session:
        grant(database, name, tmp_path)
        session.execute(sql.SQL("ALTER ROLE {} PASSWORD 'x'").format(sql.Identifier(name)))
        session.execute(
            "CREATE SUBSCRIPTION sub_listed CONNECTION 'dbname=x' PUBLICATION p WITH (connect=false)"
        )
        try:
            facts = check_source(replace(database, user=name, password="x"))
        finally:
            session.execute("ALTER SUBSCRIPTION sub_listed SET (slot_name = NONE)")
            session.execute("DROP SUBSCRIPTION sub_listed")
            session.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))

    assert "subscription sub_listed (it is dumped only by superusers)" in facts.missing


def test_a_cluster_that_hides_its_identifier_is_unknown_and_says_so(database, tmp_path):
    name = f"blind_{tmp_path.name[-6:]}"
    with database.connect() as session:
        grant(database, name, tmp_path)
        session.execute(sql.SQL("ALTER ROLE {} PASSWORD 'x'").format(sql.Identifier(name)))
        session.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        backup = replace(database, user=name, password="x")
        try:
            hidden = check_source(backup)
            session.execute(sql.SQL("ALTER ROLE {} REPLICATION").format(sql.Identifier(name)))
            identified = check_source(backup)
        finally:
            session.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))

    assert hidden.system_id == "unknown"
    assert any("system identifier" in words for words in hidden.missing)
    assert identified.system_id == check_source(database).system_id


def test_more_tables_than_the_lock_table_holds_are_refused_with_both_numbers(database, monkeypatch):
    with database.connect() as session:
        session.execute("CREATE TABLE public.a (); CREATE TABLE public.b ()")
    monkeypatch.setattr(preflight, "load_sql", lambda name: load_with_capacity(name, real=preflight_load_sql))

    with pytest.raises(SourceError, match=r"has 2 tables to lock, .* made for 1 locks") as caught:
        check_source(database)

    assert "max_locks_per_transaction" in caught.value.hint


preflight_load_sql = preflight.load_sql


def load_with_capacity(name: str, *, real) -> str:
    """The same question to a server whose lock table is tiny."""
    text = real(name)
    return text.replace("AS lock_capacity", "* 0 + 1 AS lock_capacity") if name == "preflight/facts" else text


def test_an_old_server_is_refused(database, monkeypatch):
    monkeypatch.setattr(preflight, "OLDEST_MAJOR", 19)

    with pytest.raises(SourceError, match="runs on PostgreSQL 18; 19 or newer is needed"):
        check_source(database)


def test_a_connection_pooler_is_refused(database):
    with pooler(database) as pooled, pytest.raises(SourceError, match="is a connection pooler") as caught:
        check_source(pooled)

    assert "the server's own host and port" in caught.value.hint


@contextlib.contextmanager
def pooler(connection: ClusterConnection) -> Iterator[ClusterConnection]:
    """A stand-in for pgbouncer, which pip does not bring: like it, makes up process ids."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, *, forge: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                # BackendKeyData (PostgreSQL docs, 54.7): 'K', length, process id, key.
                where = data.find(b"K\x00\x00\x00\x0c")
                if forge and where >= 0:
                    data = data[: where + 5] + struct.pack("!i", 4711) + data[where + 9 :]
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.create_connection((connection.host, connection.port))
                threading.Thread(target=pump, args=(client, upstream), kwargs={"forge": False}).start()
                threading.Thread(target=pump, args=(upstream, client), kwargs={"forge": True}).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield replace(connection, port=listener.getsockname()[1], sslmode="disable")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
