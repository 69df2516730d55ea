from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from backstop.errors import SourceBusyError, SourceError, SourceUnavailableError
from backstop.postgres.connection import ClusterConnection, source_errors
from backstop.postgres.process import run_tool
from backstop.postgres.tools import PostgresTools
from embedded.ports import free_ports

CLUSTER = ClusterConnection("db.example.org", 5432, "backup", "calibrify", password="hunter2:\\'")


def test_a_password_is_in_no_text_about_a_connection():
    assert "hunter2" not in repr(CLUSTER)
    assert CLUSTER.location == "backup@db.example.org:5432/calibrify"


def test_a_tool_gets_its_password_from_a_private_file_that_does_not_outlive_it(tmp_path):
    with CLUSTER.child_environment(tmp_path) as environment:
        passfile = tmp_path / environment["PGPASSFILE"].rsplit("/", 1)[1]
        mode, content = passfile.stat().st_mode & 0o777, passfile.read_text()

    assert mode == 0o600
    assert content == "db.example.org:5432:*:backup:hunter2\\:\\\\'\n"
    assert not any("hunter2" in value for value in environment.values())
    assert list(tmp_path.iterdir()) == []


def test_a_tool_sees_nothing_of_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", "postgres://user:secret@host")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=1")

    with CLUSTER.child_environment(tmp_path) as environment:
        assert set(environment) == {
            "PATH", "LANG", "PGPASSFILE", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGAPPNAME",
            "PGCONNECT_TIMEOUT", "PGDATESTYLE",
        }  # fmt: skip


@pytest.mark.integration
def test_tools_log_in_with_the_hardest_of_passwords(database, tmp_path):
    role, password = f"hard_{tmp_path.name[-8:]}", "a:b\\c'd \"e%"
    with database.connect() as session:
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        )
        try:
            tools = PostgresTools.find(18)
            with replace(database, user=role, password=password).child_environment(tmp_path) as environment:
                answer = run_tool([tools.path("psql"), "-XAtc", "SELECT current_user"], env=environment)
        finally:
            session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    assert answer.strip() == role


@pytest.mark.integration
def test_of_several_hosts_sessions_and_tools_find_the_one_that_answers(database, tmp_path):
    several = replace(database, host=f"/nowhere,{database.host}")
    tools = PostgresTools.find(18)

    with several.connect() as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    with several.child_environment(tmp_path) as environment:
        assert run_tool([tools.path("psql"), "-XAtc", "SELECT 1"], env=environment) == "1\n"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PGHOSTADDR", "127.0.0.9"),
        ("PGOPTIONS", "-c default_transaction_read_only=on"),
        ("PGTARGETSESSIONATTRS", "read-only"),
        ("PGPASSWORD", None),
    ],
)
def test_our_environment_leads_no_session_elsewhere(database, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value or database.password)

    with database.connect() as session:
        assert session.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
        assert session.info.hostaddr == database.host
    with pytest.raises(SourceError, match="password"):
        replace(database, password=None).connect()


@pytest.mark.integration
def test_a_session_is_not_ended_by_time_outs_that_the_role_brings(any_database):
    with any_database.connect() as session:
        session.execute(
            sql.SQL("ALTER DATABASE {} SET statement_timeout = 300").format(
                sql.Identifier(any_database.dbname)
            )
        )

    with any_database.connect() as session:
        session.execute("SELECT pg_sleep(0.5)")
        timeouts = session.execute(
            "SELECT name, setting FROM pg_settings WHERE name ~ '^(statement|lock|transaction|idle).*timeout'"
        ).fetchall()

    assert {setting for _, setting in timeouts} == {"0"}
    assert len(timeouts) >= 4


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"password": "wrong-password"}, SourceError, "password authentication failed"),
        ({"dbname": "no such database"}, SourceError, "does not exist"),
        ({"port": 0}, SourceUnavailableError, "refused"),
    ],
)
def test_a_failed_connection_says_what_and_where_and_whether_to_retry(database, change, error, words):
    if change.get("port") == 0:
        change = {"port": free_ports(1)[0]}

    with pytest.raises(SourceError, match=words) as caught:
        replace(database, **change).connect()

    assert type(caught.value) is error
    assert str(change.get("port", database.port)) in str(caught.value)
    assert caught.value.hint
    assert database.password not in str(caught.value)
    assert "wrong-password" not in str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("DO $$ BEGIN RAISE lock_not_available; END $$", SourceBusyError),
        ("DO $$ BEGIN RAISE admin_shutdown; END $$", SourceUnavailableError),
        ("DO $$ BEGIN RAISE insufficient_privilege USING DETAIL = 'row (4711)'; END $$", SourceError),
    ],
)
def test_a_servers_error_becomes_the_one_that_says_whether_to_retry(database, statement, error):
    with (
        database.connect() as session,
        pytest.raises(SourceError) as caught,
        source_errors(database.location),
    ):
        session.execute(statement)

    assert type(caught.value) is error
    assert "4711" not in str(caught.value), "DETAIL may quote rows"
    assert not isinstance(caught.value.__cause__, psycopg.Error)
