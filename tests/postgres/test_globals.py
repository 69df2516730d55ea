"""Roles: split exactly, applied whole to scratch, by name only to a real server."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from backstop.errors import RestoreError
from backstop.postgres.globals import (
    StatementKind,
    apply_to_scratch,
    apply_to_server,
    bootstrap_superuser,
    parse_globals,
)
from backstop.postgres.isolation import choose_isolation, probe_isolation
from backstop.postgres.scratch import ScratchCluster
from embedded.postgres import pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

HOSTILE_NAMES = [
    "plain",
    "two words",
    "Upper",
    "semi;colon",
    'double"quote',
    "single'quote",
    "dollar$$quote",
    "-- comment",
    "/* comment",
    "new\nline",
    "new\n\\! touch /tmp/owned",
    "back\\slash",
    "Größe",
    "tablespace",
    "e'",
    "user",
]


def texts(globals_text: str) -> list[str]:
    return [statement.text for statement in parse_globals(globals_text)]


@pytest.mark.parametrize(
    "quoted",
    [
        "'a;b'",
        "'it''s; --'",
        "E'it\\'s; \\\\'",
        "$$a;b'$$",
        "$tag$ $$ ; $tag$",
        '"name;""with"',
        "'a\nb;\n\\! id\n'",
        "U&'a;b'",
    ],
)
def test_a_semicolon_inside_quotes_ends_no_statement(quoted: str) -> None:
    assert texts(f"COMMENT ON ROLE a IS {quoted};\nCREATE ROLE b;") == [
        f"COMMENT ON ROLE a IS {quoted};",
        "CREATE ROLE b;",
    ]


def test_comments_and_restrict_brackets_are_left_out() -> None:
    dumped = (
        "--\n-- it's a comment; really\n--\n\\restrict aB3\n\nCREATE ROLE a;\n\n\\unrestrict aB3\n\n-- end\n"
    )

    assert texts(dumped) == ["CREATE ROLE a;"]


@pytest.mark.parametrize(
    "damaged",
    [
        "\\! touch /tmp/owned\n",
        "CREATE ROLE a; \\! touch /tmp/owned\n",
        "CREATE ROLE a \\g /tmp/owned\n;",
        "\\restrict a\\! id\n",
        "\\copy a to program 'id'\n",
        "COMMENT ON ROLE a IS 'open;\n",
        'CREATE ROLE "open;\n',
        "CREATE ROLE a; /* hidden */ CREATE ROLE b;",
        "CREATE ROLE cut",
    ],
)
def test_what_pg_dumpall_never_writes_is_refused(damaged: str) -> None:
    with pytest.raises(RestoreError, match="line 1"):
        parse_globals(damaged)


def test_backslashes_quote_where_the_source_had_standard_conforming_strings_off() -> None:
    dumped = "SET standard_conforming_strings = off;\nCOMMENT ON ROLE a IS 'x\\';y';\nCREATE ROLE b;"

    assert texts(dumped)[1:] == ["COMMENT ON ROLE a IS 'x\\';y';", "CREATE ROLE b;"]


def test_a_verifier_does_not_print() -> None:
    (statement,) = parse_globals("ALTER ROLE a WITH LOGIN PASSWORD 'SCRAM-SHA-256$verifier';")

    assert "verifier" not in repr(statement)


@pytest.mark.parametrize(
    ("text", "kind", "role"),
    [
        ('CREATE ROLE "A b";', StatementKind.CREATE_ROLE, "A b"),
        ("ALTER ROLE a WITH NOSUPERUSER;", StatementKind.ATTRIBUTES, "a"),
        ("ALTER ROLE a SET work_mem TO '1MB';", StatementKind.SETTING, "a"),
        ("GRANT a TO b WITH INHERIT TRUE GRANTED BY c;", StatementKind.MEMBERSHIP, "a"),
        ("COMMENT ON ROLE a IS 'x';", StatementKind.DESCRIPTION, "a"),
        ("SECURITY LABEL FOR sepgsql ON ROLE a IS 'x';", StatementKind.DESCRIPTION, "a"),
        ("GRANT SET ON PARAMETER work_mem TO a;", StatementKind.PARAMETER, None),
        ("CREATE TABLESPACE fast OWNER a LOCATION '/x';", StatementKind.TABLESPACE, None),
        ("GRANT ALL ON TABLESPACE fast TO a;", StatementKind.TABLESPACE, None),
        ('CREATE ROLE "tablespace";', StatementKind.CREATE_ROLE, "tablespace"),
        ("CREATE ROLE tablespace;", StatementKind.CREATE_ROLE, "tablespace"),
        ("GRANT tablespace TO parameter;", StatementKind.MEMBERSHIP, "tablespace"),
        ("COMMENT ON ROLE role IS 'x';", StatementKind.DESCRIPTION, "role"),
        ("SET client_encoding = 'UTF8';", StatementKind.SESSION, None),
    ],
)
def test_statements_are_told_apart(text: str, kind: StatementKind, role: str | None) -> None:
    (statement,) = parse_globals(text)

    assert (statement.kind, statement.role) == (kind, role)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)))
def test_any_names_and_comments_come_apart_again(names: list[str]) -> None:
    statements = []
    for name in names:
        quoted, literal = name.replace('"', '""'), name.replace("'", "''")
        statements += [f'CREATE ROLE "{quoted}";', f"COMMENT ON ROLE \"{quoted}\" IS '{literal}';"]

    parsed = parse_globals("\n-- comment; 'x\n".join(statements))

    assert [statement.text for statement in parsed] == statements
    assert [statement.role for statement in parsed][::2] == names


@pytest.fixture(params=[18, 16])
def scratch_pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[ScratchCluster]]:
    isolation = choose_isolation("required" if probe_isolation().kind != "none" else "none")
    major = request.param
    options = {"bin_dir": pip_postgres_bin(major), "parent": tmp_path, "isolation": isolation}
    with (
        ScratchCluster(major, superuser="the boss", **options) as source,
        ScratchCluster(major, superuser="the boss", **options) as copy,
    ):
        yield [source, copy]


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[ScratchCluster]:
    isolation = choose_isolation("required" if probe_isolation().kind != "none" else "none")
    with ScratchCluster(
        18, bin_dir=pip_postgres_bin(18), parent=tmp_path, isolation=isolation, superuser="the boss"
    ) as cluster:
        yield cluster


def dump_globals(cluster: ScratchCluster, directory: Path) -> str:
    with cluster.connection().child_environment(directory) as environment:
        dumped = subprocess.run(
            [pip_postgres_bin(cluster.major) / "pg_dumpall", "--globals-only"],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
    return dumped.stdout.decode()


def without_token(globals_text: str) -> list[str]:
    return [line for line in globals_text.splitlines() if "restrict " not in line]


@pytest.mark.integration
def test_roles_arrive_in_scratch_exactly_as_they_were(
    scratch_pair: list[ScratchCluster], tmp_path: Path
) -> None:
    source, copy = scratch_pair
    with source.connection().connect() as session:
        for name in HOSTILE_NAMES:
            role = sql.Identifier(name)
            session.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD 'p;x'").format(role))
            session.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, f"{name}\n\\! id; --'"))
            session.execute(sql.SQL("ALTER ROLE {} SET search_path = {}, 'a;b'").format(role, role))
        session.execute('GRANT plain TO "Upper" WITH ADMIN OPTION')
        session.execute('SET ROLE "Upper"; GRANT plain TO "two words"; RESET ROLE')
        session.execute('GRANT SET ON PARAMETER log_min_messages TO "semi;colon"')
        session.execute("ALTER ROLE \"the boss\" SET default_transaction_read_only = 'on'")
    before = dump_globals(source, tmp_path)

    with copy.connection().connect() as session:
        report = apply_to_scratch(session, before, "the boss")

    after = dump_globals(copy, tmp_path)
    assert sorted(report.created) == sorted(HOSTILE_NAMES)
    assert report.notes == ()
    ours = [line for line in without_token(before) if "default_transaction_read_only TO" not in line]
    dropped = {'-- User Config "the boss"', "--", ""}
    assert [line for line in ours if line not in dropped] == [
        line for line in without_token(after) if line not in dropped
    ]
    assert not os.path.exists("/tmp/owned")  # noqa: PTH110, S108 what the hostile name would create


@pytest.mark.integration
def test_tablespaces_are_left_out_of_scratch_and_odd_settings_are_noted(
    scratch: ScratchCluster,
) -> None:
    dumped = (
        "CREATE ROLE a;\nALTER ROLE a WITH NOLOGIN;\nALTER ROLE a SET no_such_setting TO '1';\n"
        "CREATE TABLESPACE fast OWNER a LOCATION '/nowhere';\nGRANT ALL ON TABLESPACE fast TO a;\n"
    )
    with scratch.connection().connect() as session:
        report = apply_to_scratch(session, dumped, "the boss")

    assert report.created == ("a",)
    assert len(report.notes) == 1
    assert "no_such_setting" in report.notes[0]


@pytest.mark.integration
def test_a_failed_role_stops_without_showing_its_verifier(scratch: ScratchCluster) -> None:
    dumped = "CREATE ROLE a;\nALTER ROLE a WITH NOSUCHWORD PASSWORD 'SCRAM-SHA-256$verifier';\n"
    with scratch.connection().connect() as session:
        with pytest.raises(RestoreError, match="attributes of role a") as caught:
            apply_to_scratch(session, dumped, "the boss")

        assert "verifier" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert session.execute("SELECT 1 FROM pg_roles WHERE rolname = 'a'").fetchone() is None


@pytest.fixture(params=["postgres18", "postgres16"])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    found = request.getfixturevalue(request.param)
    yield found
    with found.connect() as session:
        for role in ("globals new", "globals_new2", "globals_old", "globals_restorer"):
            session.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


GLOBALS = 'CREATE ROLE "globals new";\nALTER ROLE "globals new" WITH SUPERUSER LOGIN PASSWORD \'x\';\n'


@pytest.mark.integration
def test_a_missing_role_is_created_without_login_and_an_existing_one_stays(server: EmbeddedPostgres) -> None:
    with server.connect() as session:
        session.execute("CREATE ROLE globals_restorer LOGIN CREATEROLE; CREATE ROLE globals_old NOLOGIN")
        session.execute("SET ROLE globals_restorer")

        report = apply_to_server(session, ["globals new", "globals_new2", "globals_old"], GLOBALS)

        rights = session.execute(
            "SELECT rolname, rolsuper, rolcanlogin, pg_has_role(oid, 'USAGE') FROM pg_roles "
            "WHERE rolname LIKE 'globals%new%' ORDER BY 1"
        ).fetchall()
    assert report.created == ("globals new", "globals_new2")
    assert report.existing == ("globals_old",)
    assert rights == [("globals new", False, False, True), ("globals_new2", False, False, True)]
    assert report.notes == ("role globals new could log in where the backup was taken; here it cannot yet",)


@pytest.mark.integration
def test_without_the_right_to_create_roles_they_are_listed(server: EmbeddedPostgres) -> None:
    with server.connect() as session:
        session.execute("CREATE ROLE globals_restorer LOGIN; SET ROLE globals_restorer")

        report = apply_to_server(session, ["globals new", "postgres"], GLOBALS)

    assert report.create_first == ("globals new",)
    assert report.created == ()


@pytest.mark.integration
def test_the_bootstrap_superuser_is_found(server: EmbeddedPostgres) -> None:
    with server.connect() as session:
        assert bootstrap_superuser(session) == "postgres"
        assert isinstance(session, psycopg.Connection)
