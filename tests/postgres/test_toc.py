from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from backstop.errors import ToolError
from backstop.postgres.catalog import list_tables, read_sequences
from backstop.postgres.process import run_tool
from backstop.postgres.toc import Toc, read_toc, schema_of
from backstop.postgres.tools import PostgresTools, pg_dump_argv, pg_restore_argv

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration

SCHEMA = """
CREATE SCHEMA "DATA";
CREATE TABLE "DATA"."Table, ""A"" x" (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    s text CHECK (s <> '')
);
CREATE TABLE public.t (id serial, v numeric);
COMMENT ON TABLE public.t IS E'hello\n--\n-- Name: x; Type: TABLE; Schema: public; Owner: postgres\n--\n\n';
CREATE FUNCTION public.imitation() RETURNS text LANGUAGE sql AS $$ SELECT '
--
-- Name: t; Type: TABLE; Schema: public; Owner: postgres
--

SET work_mem = 1;
--
-- PostgreSQL database dump complete
--
' $$;
CREATE MATERIALIZED VIEW public.mv AS SELECT id FROM public.t;
CREATE PUBLICATION pub_of_toc FOR TABLE public.t;
CREATE SEQUENCE public."it's
odd" START -7 MINVALUE -10;
GRANT SELECT ON public.t TO PUBLIC;
SELECT lo_from_bytea(4711, 'content');
SELECT setval('public.t_id_seq', 41);
"""


def tools_for(connection: ClusterConnection) -> PostgresTools:
    with connection.connect() as session:
        return PostgresTools.find(session.info.server_version // 10000)


def dump(connection: ClusterConnection, folder: Path) -> Path:
    with connection.child_environment(folder) as environment:
        run_tool(pg_dump_argv(tools_for(connection), directory=folder / "dump", jobs=2), env=environment)
    return folder / "dump"


@pytest.fixture
def source(any_database):
    with any_database.connect() as session:
        session.execute(SCHEMA)
    return any_database


def test_a_dump_and_its_database_define_the_same(source, tmp_path):
    toc = read_toc(dump(source, tmp_path), tools_for(source))
    live = schema_of(source, tools_for(source))

    further = dict(live.texts.items() - toc.texts.items())
    assert list(further) == ["LARGE OBJECTS of postgres"]
    assert toc.with_texts(further).schema == live.schema


def test_a_text_that_imitates_pg_restore_hides_no_change_of_what_it_imitates(source, tmp_path):
    before = schema_of(source, tools_for(source))
    with source.connect() as session:
        session.execute("ALTER TABLE public.t ALTER v SET NOT NULL")
    after = schema_of(source, tools_for(source))

    assert "CREATE TABLE public.t" in before.texts["TABLE public.t"]
    assert "PostgreSQL database dump complete" in before.texts["FUNCTION public.imitation()"]
    assert changed(before, after) == {"TABLE public.t"}


@pytest.mark.parametrize(
    ("change", "identity"),
    [
        ("REVOKE SELECT ON public.t FROM PUBLIC", "ACL public.TABLE t"),
        ('ALTER TABLE "DATA"."Table, ""A"" x" OWNER TO pg_monitor', 'TABLE DATA.Table, "A" x'),
        ("COMMENT ON TABLE public.t IS 'other'", "COMMENT public.TABLE t"),
        ("ALTER PUBLICATION pub_of_toc SET (publish = 'insert')", "PUBLICATION pub_of_toc"),
        ("ALTER LARGE OBJECT 4711 OWNER TO pg_monitor", "LARGE OBJECTS of postgres"),
        ("GRANT SELECT ON LARGE OBJECT 4711 TO pg_monitor", "LARGE OBJECTS of postgres"),
        ("COMMENT ON LARGE OBJECT 4711 IS 'x'", "LARGE OBJECTS of postgres"),
    ],
)
def test_a_changed_definition_is_named(database, change, identity):
    with database.connect() as session:
        session.execute(SCHEMA)
    before = schema_of(database, tools_for(database))
    with database.connect() as session:
        session.execute(change)
    after = schema_of(database, tools_for(database))

    assert identity in changed(before, after)


def changed(before: Toc, after: Toc) -> set[str]:
    return {identity for identity, _ in set(before.texts.items()) ^ set(after.texts.items())}


def test_sequence_values_are_those_that_the_database_has(source, tmp_path):
    toc = read_toc(dump(source, tmp_path), tools_for(source))

    with source.connect() as session:
        assert toc.sequences == read_sequences(session)
    assert {value.name: value.last_value for value in toc.sequences}["public.t_id_seq"] == 41
    assert any("\nodd" in value.name for value in toc.sequences)


def test_the_table_of_contents_alone_tells_which_file_holds_which_table(source, tmp_path):
    directory = dump(source, tmp_path)
    files = {path.name for path in directory.glob("*.dat") if path.name[0].isdigit()}
    for name in files:
        (directory / name).unlink()

    toc = read_toc(directory, tools_for(source))

    with source.connect() as session:
        assert set(toc.table_data.values()) == {table.oid for table in list_tables(session)}
    assert {f"{dump_id}.dat" for dump_id in toc.table_data} <= files


def test_subscriptions_are_not_among_what_a_copy_must_have(database, tmp_path):
    with database.connect() as session:
        session.execute(
            "CREATE SUBSCRIPTION sub_of_toc CONNECTION 'dbname=secret' PUBLICATION p WITH (connect = false)"
        )
        session.execute("COMMENT ON SUBSCRIPTION sub_of_toc IS 'x'")
        try:
            toc = read_toc(dump(database, tmp_path), tools_for(database))
        finally:
            session.execute("ALTER SUBSCRIPTION sub_of_toc SET (slot_name = NONE)")
            session.execute("DROP SUBSCRIPTION sub_of_toc")

    assert not toc.texts


def test_names_in_another_encoding_are_read_as_they_are(postgres18, tmp_path):
    name = f"latin_{tmp_path.name[-6:]}"
    with postgres18.connect() as session:
        session.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'").format(
                sql.Identifier(name)
            )
        )
    try:
        connection = postgres18.connection(name)
        with connection.connect() as session:
            session.execute('CREATE SEQUENCE public."Zähler"')
            expected = read_sequences(session)
        toc = read_toc(dump(connection, tmp_path), tools_for(connection))
    finally:
        with postgres18.connect() as session:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    assert toc.sequences == expected
    assert list(toc.texts) == ["SEQUENCE public.Zähler"]


def test_a_damaged_table_of_contents_is_refused(source, tmp_path):
    toc = dump(source, tmp_path) / "toc.dat"
    toc.write_bytes(toc.read_bytes()[:-100])

    with pytest.raises(ToolError, match="pg_restore exited with code 1"):
        read_toc(toc.parent, tools_for(source))


def test_definitions_survive_a_restore(source, new_database, server, tmp_path):
    expected = schema_of(source, tools_for(source))
    directory = dump(source, tmp_path)
    copy = new_database(server)
    with copy.child_environment(tmp_path) as environment:
        argv = pg_restore_argv(tools_for(source), directory=directory, dbname=copy.dbname, jobs=2)
        run_tool(argv, env=environment)
    shutil.rmtree(directory)

    assert schema_of(copy, tools_for(source)).schema == expected.schema
