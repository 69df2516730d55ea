"""A plain dump is read statement by statement; what is cut off, or no dump, is refused before it runs."""

from __future__ import annotations

import io

import pytest

from backstop.errors import IntegrityError
from backstop.postgres.plain_dump import PlainDump
from backstop.postgres.plain_roles import RolesNamed

HEAD = b"""--
-- PostgreSQL database dump
--

\\restrict dKx1hRr
-- Dumped from database version 18.4 (Debian 18.4-1)
-- Dumped by pg_dump version 18.4

SET standard_conforming_strings = on;
"""
TAIL = b"""--
-- PostgreSQL database dump complete
--

\\unrestrict dKx1hRr

"""
ROWS = b"""COPY public.equipment (id, "due, date") FROM stdin;
1\tscale ; \\\\. it
2\t$$ ' " /* --
\\.


"""


def statements(body: bytes, *, head: bytes = HEAD, tail: bytes = TAIL) -> list[bytes]:
    dump = PlainDump(io.BytesIO(head + body + tail), "old.sql.gz")
    return [statement.text for statement in dump][1:]


@pytest.mark.parametrize(
    "statement",
    [
        b"SELECT 'a; b''; c';",
        b"SELECT E'a\\'; b';",
        b"SELECT E'ends with \\\\';",
        b"SELECT U&'\\0441;';",
        b'ALTER TABLE public."a;""b" OWNER TO x;',
        b"CREATE FUNCTION f() RETURNS text\n    LANGUAGE sql\n    AS $_$ SELECT ';$$' -- it's $1\n$_$;",
        b"CREATE FUNCTION f()\n    BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\n SELECT 2;\nEND;",
        b"CREATE OR REPLACE PROCEDURE f()\n    BEGIN ATOMIC\n SELECT 1;\nEND;",
        b"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);",
        b"CREATE VIEW v AS\n SELECT 1 AS begin; ",
        b"SELECT 1 /* a; /* nested; */ b; */ + 2;",
        b"SELECT 1 -- a; b\n + 2;",
        b"SELECT pg_catalog.lowrite(0, '\\x3b27');",
        b"COMMENT ON TABLE t IS 'two\nlines;\n\\! touch /tmp/x\n-- PostgreSQL database dump complete\n';",
        "CREATE TABLE public.größe (maß text DEFAULT ';');".encode(),
    ],
)
def test_a_semicolon_within_something_ends_nothing(statement: bytes):
    found = statements(b"SELECT 0;\n" + statement + b"\nSELECT 3;\n")

    assert found == [b"SELECT 0;", statement.strip(), b"SELECT 3;"]


def test_with_backslashes_in_strings_as_they_were_before_2010_they_end_where_the_server_says():
    assert statements(b"SET standard_conforming_strings = off;\nSELECT 'a\\'; b';\nSELECT 1;\n")[1:] == [
        b"SELECT 'a\\'; b';",
        b"SELECT 1;",
    ]


def test_rows_come_in_blocks_and_are_counted_whatever_is_in_them():
    dump = PlainDump(io.BytesIO(HEAD + ROWS * 2 + TAIL), "old.sql.gz")

    blocks = [b"".join(dump.rows()) for statement in dump if statement.table]

    assert blocks == [b"1\tscale ; \\\\. it\n2\t$$ ' \" /* --\n"] * 2
    assert dump.facts.rows == {b"public.equipment": 4}
    assert (dump.facts.server_major, dump.facts.pg_dump_major) == (18, 18)


def test_rows_that_nobody_asks_for_are_counted_too_and_empty_tables_named():
    dump = PlainDump(io.BytesIO(HEAD + ROWS + b"COPY public.e (i) FROM stdin;\n\\.\n" + TAIL), "old.sql.gz")

    for _ in dump:
        pass

    assert dump.facts.rows == {b"public.equipment": 2, b"public.e": 0}


def test_a_table_without_schema_is_where_the_search_path_says():
    old = b"SET search_path = lab, pg_catalog;\nCOPY scales (id) FROM stdin;\n1\n\\.\n"
    dump = PlainDump(io.BytesIO(HEAD + old + TAIL), "old.sql.gz")

    assert [statement.table for statement in dump if statement.table] == [b"lab.scales"]


def test_rows_that_cross_the_blocks_they_are_read_in_stay_whole():
    rows = b"".join(b"%d\t%s\n" % (number, b"x" * (number % 700)) for number in range(9000))
    dump = PlainDump(io.BytesIO(HEAD + b"COPY t (a, b) FROM stdin;\n" + rows + b"\\.\n" + TAIL), "old.sql.gz")

    blocks = [block for statement in dump if statement.table for block in dump.rows()]

    assert b"".join(blocks) == rows
    assert len(blocks) > 2
    assert all(block.endswith(b"\n") for block in blocks)


def test_cut_anywhere_it_is_not_complete():
    whole = HEAD + ROWS + b"SELECT 'a\nb';\n" + TAIL
    complete = whole.index(b"dump complete") + len(b"dump complete")

    for end in range(complete):
        with pytest.raises(IntegrityError, match=r"is not complete|has a command of psql"):
            list(PlainDump(io.BytesIO(whole[:end]), "old.sql.gz"))
    assert list(PlainDump(io.BytesIO(whole[:complete]), "old.sql.gz"))


def test_it_says_where_it_ends():
    with pytest.raises(
        IntegrityError, match=r"among the rows of public.equipment, which begin behind line 10"
    ):
        statements(ROWS[:60], tail=b"")
    with pytest.raises(IntegrityError, match=r"within the statement of line 10"):
        statements(b"CREATE TABLE t (\n  id int", tail=b"")


@pytest.mark.parametrize(
    "line",
    [
        b"\\! touch /tmp/harm\n",
        b"SELECT 1 \\g | touch /tmp/harm\n",
        b"\\copy t from program 'touch /tmp/harm'\n",
        b"\\connect other\n",
        b"\\restrict a b\n",
        b"SELECT 1; \\! touch /tmp/harm\n",
        b"-- Name: harmless\n\\! touch /tmp/harm; Type: TABLE\n",
        b"/* \n*/ \\! touch /tmp/harm\n",
        b"COPY t (a) FROM stdin;\n\\.\n\\! touch /tmp/harm\n",
    ],
)
def test_a_command_of_psql_is_refused(line: bytes):
    with pytest.raises(IntegrityError, match="has a command of psql"):
        statements(line)


def test_what_stands_behind_the_last_line_is_refused():
    with pytest.raises(IntegrityError, match="goes on behind pg_dump's last line"):
        statements(b"", tail=TAIL + b"DROP TABLE equipment;\n")


def test_an_end_that_only_a_comment_or_a_text_pretends_is_none():
    for pretence in (
        b"/*\n-- PostgreSQL database dump complete\n*/\n",
        b"SELECT '\n-- PostgreSQL database dump complete\n';",
    ):
        with pytest.raises(IntegrityError, match="without pg_dump's last line"):
            statements(pretence, tail=b"")


@pytest.mark.parametrize(
    "copy",
    [
        b"COPY t FROM stdin (FORMAT csv);\n1\n\\.\n",
        b"copy t from\nSTDIN;\n1\n",
        b"COPY t FROM stdin; SELECT 1;\n\\.\n",
    ],
)
def test_only_pg_dumps_own_copy_is_fed_with_rows(copy: bytes):
    with pytest.raises(IntegrityError, match=r"has a COPY … FROM stdin that pg_dump does not write so"):
        statements(copy)


def test_roles_are_found_where_pg_dump_names_them():
    roles = RolesNamed()
    for statement in (
        b"ALTER TABLE public.equipment OWNER TO lab;",
        b"ALTER TABLE public.users OWNER TO lab;",
        b'ALTER FUNCTION public.f(a text, OUT " OWNER TO x" text) OWNER TO "La""b 2";',
        b"GRANT SELECT,INSERT ON TABLE public.equipment TO writer WITH GRANT OPTION;",
        b"REVOKE ALL ON SCHEMA public FROM PUBLIC;",
        b"GRANT USAGE ON SCHEMA public TO PUBLIC;",
        b"REVOKE ALL ON TABLE t FROM former GRANTED BY lab;",
        b"ALTER DEFAULT PRIVILEGES FOR ROLE giver IN SCHEMA public GRANT SELECT ON TABLES  TO taker;",
        b"SET SESSION AUTHORIZATION grantor;",
        b'CREATE POLICY p ON public.equipment AS RESTRICTIVE FOR SELECT TO auditor, "B c" USING (true);',
        b"CREATE POLICY q ON public.equipment TO PUBLIC USING (true);",
        b"CREATE USER MAPPING FOR mapped SERVER far OPTIONS (\n    password 'x'\n);",
        b"GRANT pg_read_all_data TO nobody_here;",
        b"ALTER SCHEMA public OWNER TO pg_database_owner;",
    ):
        roles.look_at(statement)

    assert roles.owner == "lab"
    assert roles.all == {
        "lab", 'La"b 2', "writer", "former", "giver", "taker", "grantor", "auditor", "B c", "mapped",
        "nobody_here",
    }  # fmt: skip
    assert RolesNamed().owner is None
