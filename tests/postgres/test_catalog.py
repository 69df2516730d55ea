from __future__ import annotations

import pytest
from psycopg import sql

from backstop.postgres.catalog import (
    list_materialized_views,
    list_tables,
    read_database_properties,
    with_sizes,
)
from backstop.postgres.names import normalize_qualified_name, qualified_name, quote_identifier


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("equipment", "equipment"),
        ("Equipment", '"Equipment"'),
        ("user", '"user"'),
        ('say "hi"', '"say ""hi"""'),
        ("größe", '"größe"'),
        ("1st", '"1st"'),
    ],
)
def test_names_are_quoted_when_sql_would_read_them_otherwise(name, quoted):
    assert quote_identifier(name) == quoted


@pytest.mark.parametrize("text", ['public."user"', "public.t", '"a.b"."c""d"', '"a\nb".c'])
def test_a_quoted_name_can_be_read_back(text):
    assert normalize_qualified_name(text) == text


def test_more_quotes_than_needed_make_no_other_name():
    assert normalize_qualified_name('"public"."t"') == qualified_name("public", "t") == "public.t"


@pytest.mark.parametrize("text", ["t", "", 'public."t', "a.b.c"])
def test_what_is_no_qualified_name_is_refused(text):
    with pytest.raises(ValueError, match="qualified name"):
        normalize_qualified_name(text)


@pytest.mark.integration
def test_the_servers_keywords_are_ours(server):
    with server.connection().connect() as session:
        words = [
            word for (word,) in session.execute("SELECT word FROM pg_get_keywords() WHERE catcode <> 'U'")
        ]

    assert [word for word in words if quote_identifier(word) == word] == []


@pytest.mark.integration
def test_the_tables_of_a_dump_are_listed_and_nothing_else(any_database):
    with any_database.connect() as session:
        session.execute(
            """
            SET search_path = public;
            CREATE TABLE plain (b integer, "A" bytea, c integer GENERATED ALWAYS AS (b + 1) STORED);
            ALTER TABLE plain ADD gone integer; ALTER TABLE plain DROP gone;
            CREATE UNLOGGED TABLE hasty ();
            CREATE TABLE parted (i integer) PARTITION BY LIST (i);
            CREATE TABLE part PARTITION OF parted FOR VALUES IN (1);
            CREATE TEMPORARY TABLE passing (i integer);
            CREATE VIEW a_view AS SELECT 1;
            CREATE MATERIALIZED VIEW "A Matview" AS SELECT 1;
            CREATE FOREIGN DATA WRAPPER wrapper;
            CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
            CREATE FOREIGN TABLE far (i integer) SERVER elsewhere;
            INSERT INTO plain VALUES (1);
            """
        )
        tables = {table.table: table for table in with_sizes(session, list_tables(session))}
        views = list_materialized_views(session)

    assert {name: table.kind for name, table in tables.items()} == {
        "plain": "r", "hasty": "r", "parted": "p", "part": "r",
    }  # fmt: skip
    assert [name for name, _ in tables["plain"].columns] == ["A", "b", "c"]
    assert (tables["hasty"].unlogged, tables["plain"].unlogged) == (True, False)
    assert tables["plain"].heap_bytes == 8192
    assert views == ('public."A Matview"',)


@pytest.mark.integration
def test_listing_tables_waits_for_nobodys_lock(database):
    with database.connect() as session, database.connect(autocommit=False) as other:
        session.execute("CREATE TABLE public.t ()")
        other.execute("LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE")
        session.execute("SET lock_timeout = 1")

        assert [table.table for table in list_tables(session)] == ["t"]


@pytest.mark.integration
def test_everything_that_belongs_to_the_database_itself_is_read(any_database):
    name = sql.Identifier(any_database.dbname)
    with any_database.connect() as session:
        for statement in (
            "COMMENT ON DATABASE {} IS 'it''s ours'",
            "ALTER DATABASE {} CONNECTION LIMIT 7",
            "ALTER DATABASE {} OWNER TO pg_monitor",
            "REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC",
            "GRANT CREATE ON DATABASE {} TO pg_read_all_data WITH GRANT OPTION",
            "ALTER DATABASE {} SET work_mem = '5MB'",
            "ALTER DATABASE {} SET search_path = 'a b', public",
            "ALTER ROLE postgres IN DATABASE {} SET jit = off",
        ):
            session.execute(sql.SQL(statement).format(name))
        properties = read_database_properties(session)

    assert {key: properties[key] for key in ("encoding", "comment", "connection_limit", "owner")} == {
        "encoding": "UTF8",
        "comment": "it's ours",
        "connection_limit": 7,
        "owner": "pg_monitor",
    }
    assert properties["acl"] == [
        "PUBLIC=CONNECT",
        "pg_monitor=CONNECT",
        "pg_monitor=CREATE",
        "pg_monitor=TEMPORARY",
        "pg_read_all_data=CREATE WITH GRANT OPTION",
    ]
    assert properties["settings"] == [
        {"role": None, "settings": ['search_path="a b", public', "work_mem=5MB"]},
        {"role": "postgres", "settings": ["jit=off"]},
    ]


@pytest.mark.integration
def test_an_icu_locale_is_read_under_one_name_on_every_version(server):
    name = sql.Identifier("with_icu")
    with server.connect() as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
        try:
            session.execute(
                sql.SQL(
                    "CREATE DATABASE {} TEMPLATE template0"
                    " LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C.UTF-8'"
                ).format(name)
            )
        except Exception as error:
            if "ICU is not supported" in str(error):
                pytest.skip("this server was built without ICU")
            raise
        try:
            with server.connection("with_icu").connect() as inside:
                properties = read_database_properties(inside)
        finally:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    assert (properties["locale_provider"], properties["icu_locale"]) == ("icu", "de")
