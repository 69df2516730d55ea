from __future__ import annotations

import pytest

from backstop.postgres.superuser_kinds import extension_of, given_to, granted_by, needs_superuser
from backstop.postgres.toc_entries import EntryText


def entry(kind: str, sql: str, owner: str = "app") -> EntryText:
    return EntryText(kind, "lab", "thing", owner, sql)


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("EVENT TRIGGER", "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION lab.f();"),
        ("PUBLICATION", "CREATE PUBLICATION \"every one\" FOR ALL TABLES WITH (publish = 'insert');"),
        ("PUBLICATION TABLES IN SCHEMA", "ALTER PUBLICATION p ADD TABLES IN SCHEMA lab;"),
        ("CAST", "CREATE CAST (lab.a AS integer) WITHOUT FUNCTION;"),
        ("TYPE", "CREATE TYPE lab.t (\n    INTERNALLENGTH = 4,\n    INPUT = lab.i\n);"),
        ("FUNCTION", "CREATE FUNCTION lab.f() RETURNS int\n    LANGUAGE c STRICT\n    AS '$libdir/x', 'f';"),
        ("FUNCTION", "CREATE FUNCTION lab.f() RETURNS int\n    LANGUAGE sql LEAKPROOF\n    AS 'SELECT 1';"),
        ("AGGREGATE", "CREATE AGGREGATE lab.a(integer) (\n    SFUNC = lab.s,\n    STYPE = internal\n);"),
    ],
)
def test_what_postgresql_refuses_to_everybody_but_superusers_is_known(kind: str, sql: str):
    assert needs_superuser(entry(kind, sql))


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("PUBLICATION", "CREATE PUBLICATION \"p FOR ALL TABLES\" WITH (publish = 'insert');"),
        ("CAST", "CREATE CAST (lab.a AS text) WITH INOUT;"),
        ("TYPE", "CREATE TYPE lab.state AS ENUM (\n    'due'\n);"),
        ("FUNCTION", "CREATE FUNCTION lab.f() RETURNS int\n    LANGUAGE sql\n    AS '\n    LANGUAGE c';"),
        ("TABLE", "CREATE TABLE lab.t ();"),
    ],
)
def test_what_an_owner_may_create_is_no_obstacle(kind: str, sql: str):
    assert not needs_superuser(entry(kind, sql))


def test_a_language_without_a_handler_is_an_extension():
    assert (
        extension_of(entry("PROCEDURAL LANGUAGE", "CREATE OR REPLACE PROCEDURAL LANGUAGE plperl;"))
        == "plperl"
    )
    assert extension_of(entry("EXTENSION", 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp";')) == "uuid-ossp"
    assert extension_of(entry("TABLE", "CREATE TABLE lab.t ();")) is None


def test_only_what_is_given_away_has_an_owner_that_matters():
    given = entry("TABLE", "CREATE TABLE lab.t ();\n\n\nALTER TABLE lab.t OWNER TO app;")

    assert given_to(given) == "app"
    assert given_to(entry("INDEX", "CREATE INDEX i ON lab.t (id);")) is None
    assert (
        given_to(entry("DEFAULT ACL", "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT ALL ON TABLES TO b;"))
        == "app"
    )


def test_a_grant_in_the_name_of_another_role_is_known():
    sql = 'SET SESSION AUTHORIZATION "Mr X";\nGRANT SELECT ON TABLE lab.t TO b;\nRESET SESSION AUTHORIZATION;'

    assert granted_by(entry("ACL", sql)) == "Mr X"
    assert granted_by(entry("ACL", "GRANT SELECT ON TABLE lab.t TO b;")) is None
