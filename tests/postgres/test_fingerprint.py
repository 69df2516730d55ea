from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from backstop.errors import SourceError
from backstop.postgres import fingerprint as fingerprint_module
from backstop.postgres.catalog import list_tables, with_sizes
from backstop.postgres.fingerprint import take_content

if TYPE_CHECKING:
    from backstop.model.fingerprint import TableContent
    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration

# Every type whose text depends on settings, or has values that are equal but not the same, twice: once among
# the types that are chained and once inside an array, which is not.
VALUES = {
    "numeric": ("1.0", "1.00"),
    "float8": ("'0'", "'-0'"),
    "float4": ("'NaN'", "'Infinity'"),
    "double precision": ("0.1", "0.10000000000000002"),
    "text": ("''", "NULL"),
    "varchar": ("'a'", "'a '"),
    "char(3)": ("'a'", "'b'"),
    "bytea": ("''", "NULL"),
    "json": ("'{\"a\":1}'", "'{\"a\": 1}'"),
    "jsonb": ("'1.0'", "'1.00'"),
    "timestamptz": ("'2026-01-01 00:00:00.000001Z'", "'2026-01-01 00:00:00Z'"),
    "timestamp": ("'infinity'", "'-infinity'"),
    "timetz": ("'01:00+00'", "'02:00+01'"),
    "interval": ("'24 hours'", "'1 day'"),
    "date": ("'2026-01-01'", "'0044-03-15 BC'"),
    "money": ("1", "2"),
    "boolean": ("true", "NULL"),
    "integer": ("0", "NULL"),
    "bigint": ("1", "4294967296"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'", "NULL"),
    "bit varying": ("''", "NULL"),
    "inet": ("'10.0.0.1/32'", "'10.0.0.1/24'"),
    "int4range": ("'empty'", "NULL"),
    "tsvector": ("''", "NULL"),
}


def content(connection: ClusterConnection, **options) -> tuple[dict[str, TableContent], TableContent]:
    with connection.connect() as session:
        tables = with_sizes(session, list_tables(session))
    contents, large_objects = take_content(connection, tables=tables, **options)
    return {table.name: table for table in contents}, large_objects


def execute(connection: ClusterConnection, *statements: str) -> None:
    with connection.connect() as session:
        for statement in statements:
            session.execute(statement)


@pytest.mark.parametrize("shape", ["{}", "{}[]"])
def test_two_values_that_are_not_the_same_never_count_as_equal(database, shape):
    with database.connect() as session:
        for number, (kind, values) in enumerate(VALUES.items()):
            for which, value in zip("ab", values, strict=True):
                if shape == "{}[]":
                    value = f"ARRAY[{value}::{kind}]"
                session.execute(f"CREATE TABLE public.{which}{number} (v {shape.format(kind)})")
                session.execute(f"INSERT INTO public.{which}{number} VALUES ({value})")

    tables, _ = content(database)

    same = [
        kind
        for number, kind in enumerate(VALUES)
        if tables[f"public.a{number}"].content == tables[f"public.b{number}"].content
    ]
    assert same == []


def test_settings_of_role_and_database_do_not_reach_the_fingerprint(database):
    execute(
        database,
        "CREATE TABLE public.t (ts timestamptz, d date, i interval, f float8, b bytea, m money, r regclass)",
        "INSERT INTO public.t VALUES ('2026-01-01', '2026-02-01', '25 hours', 0.1, '\\x00ff', 5, 'public.t')",
    )
    before, _ = content(database)
    with database.connect() as session:
        for name, value in {
            "TimeZone": "Asia/Tokyo",
            "DateStyle": "SQL, DMY",
            "IntervalStyle": "iso_8601",
            "extra_float_digits": "-5",
            "bytea_output": "escape",
            "search_path": "public",
            "quote_all_identifiers": "on",
            "row_security": "off",
        }.items():
            session.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(database.dbname), sql.Identifier(name), sql.Literal(value)
                )
            )

    after, _ = content(database)

    assert after == before


def test_neither_order_nor_physical_place_of_rows_matters_but_their_columns_do(database):
    execute(
        database,
        "CREATE TABLE public.a AS SELECT g AS x, g * 2 AS y FROM generate_series(1, 1000) g",
        "CREATE TABLE public.b AS SELECT g * 2 AS y, g AS x FROM generate_series(1000, 1, -1) g",
        "CREATE TABLE public.c AS SELECT g AS y, g * 2 AS x FROM generate_series(1, 1000) g",
    )

    tables, _ = content(database)

    assert tables["public.a"].content == tables["public.b"].content != tables["public.c"].content


def test_an_inherited_column_in_another_place_is_the_same(database):
    """pg_dump restores a child's inherited columns before its own."""
    execute(
        database,
        "CREATE TABLE public.parent (a integer)",
        "CREATE TABLE public.child (b integer) INHERITS (public.parent)",
        "ALTER TABLE public.parent ADD c integer",
        "CREATE TABLE public.restored (a integer, c integer, b integer)",
        "INSERT INTO public.child (a, b, c) VALUES (1, 2, 3)",
        "INSERT INTO public.restored (a, b, c) VALUES (1, 2, 3)",
    )

    tables, _ = content(database)

    assert tables["public.child"].content == tables["public.restored"].content
    assert tables["public.parent"].rows == 0, "a parent's rows do not include its children's"


def test_a_column_called_t_and_a_cast_made_by_the_tables_owner_change_nothing(database):
    execute(
        database,
        "CREATE TABLE public.t (t text, s text)",
        "INSERT INTO public.t VALUES ('same', 'one'), ('same', 'two')",
        "CREATE TYPE public.mood AS ENUM ('good', 'bad')",
        "CREATE TABLE public.moods (m public.mood)",
        "INSERT INTO public.moods VALUES ('good')",
    )
    before, _ = content(database)
    execute(
        database,
        "CREATE FUNCTION public.hijack(public.mood) RETURNS text LANGUAGE sql AS $$ SELECT 1/0 || '' $$",
        "CREATE FUNCTION public.hijack(public.t) RETURNS text LANGUAGE sql AS $$ SELECT 1/0 || '' $$",
        "CREATE CAST (public.mood AS text) WITH FUNCTION public.hijack(public.mood) AS IMPLICIT",
        "CREATE CAST (public.t AS text) WITH FUNCTION public.hijack(public.t)",
        "CREATE FUNCTION public.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT 7 $$",
    )

    after, _ = content(database)
    execute(database, "UPDATE public.t SET s = 'other' WHERE s = 'one'")
    changed, _ = content(database)

    assert after == before
    assert changed["public.t"].content != before["public.t"].content


def test_a_big_table_shared_out_in_block_ranges_has_the_same_fingerprint(any_database, monkeypatch):
    execute(
        any_database,
        "CREATE TABLE public.big AS SELECT g, repeat(md5(g::text), 20) AS s FROM generate_series(1, 20000) g",
        "DELETE FROM public.big WHERE g % 3 = 0",
    )
    whole = content(any_database, jobs=1)
    monkeypatch.setattr(fingerprint_module, "_SMALLEST_PART_BYTES", 1024 * 1024)
    pieces = []

    shared = content(any_database, jobs=3, progress=pieces.append)

    assert shared == whole
    assert len(pieces) > 8
    assert whole[0]["public.big"].rows == 13334


def test_wide_tables_tables_without_columns_and_empty_tables_are_read(database):
    columns = ", ".join(f"c{number} integer DEFAULT {number}" for number in range(1000))
    execute(
        database,
        f"CREATE TABLE public.wide ({columns})",
        "INSERT INTO public.wide DEFAULT VALUES",
        "CREATE TABLE public.nothing ()",
        "INSERT INTO public.nothing DEFAULT VALUES",
        "CREATE TABLE public.empty (i integer)",
    )

    tables, _ = content(database)
    execute(database, "UPDATE public.wide SET c999 = NULL")
    changed, _ = content(database)

    assert (tables["public.nothing"].rows, tables["public.empty"].rows) == (1, 0)
    assert tables["public.empty"].content == "0"
    assert changed["public.wide"].content != tables["public.wide"].content


def test_counts_only_counts(database):
    execute(
        database,
        "CREATE TABLE public.t AS SELECT generate_series(1, 5)",
        "SELECT lo_from_bytea(0, 'x')",
    )

    tables, large_objects = content(database, mode="counts")

    assert (tables["public.t"].rows, tables["public.t"].content) == (5, None)
    assert (large_objects.rows, large_objects.content) == (1, None)


@pytest.mark.parametrize(
    "change",
    [
        "SELECT lo_put(4711, 5000000, 'x')",
        "SELECT lo_put(4711, 0, 'x')",
        "SELECT lo_unlink(4712)",
        "SELECT lo_from_bytea(4714, '')",
        "UPDATE pg_largeobject SET data = CASE loid WHEN 4712 THEN 'b'::bytea ELSE 'a'::bytea END"
        " WHERE loid IN (4712, 4713)",
    ],
)
def test_a_changed_large_object_changes_the_fingerprint(any_database, change):
    execute(
        any_database,
        "SELECT lo_from_bytea(4711, convert_to(repeat('large', 1000000), 'UTF8'))",
        "SELECT lo_from_bytea(4712, 'a')",
        "SELECT lo_from_bytea(4713, 'b')",
    )
    before = content(any_database)[1]
    execute(any_database, "SET allow_system_table_mods = on; " + change)

    assert content(any_database)[1].content != before.content


def test_a_sparse_large_object_equals_its_restored_copy_with_the_holes_filled(database):
    execute(database, "SELECT lo_put(lo_create(4711), 3000000, 'end')")
    sparse = content(database)[1]
    execute(
        database,
        "SELECT lo_unlink(4711)",
        "SELECT lo_from_bytea(4711, decode(repeat('00', 3000000), 'hex') || 'end'::bytea)",
    )

    assert content(database)[1] == sparse


def test_many_large_objects_are_all_counted(database):
    execute(database, "SELECT lo_from_bytea(0, sha256(g::text::bytea)) FROM generate_series(1, 2500) g")

    assert content(database, jobs=2)[1].rows == 2500


def test_rows_hidden_by_row_level_security_fail_the_fingerprint_rather_than_missing_in_it(database, tmp_path):
    role = f"reader_{tmp_path.name[-8:]}"
    execute(
        database,
        "CREATE TABLE public.secret AS SELECT 1 AS i",
        "ALTER TABLE public.secret ENABLE ROW LEVEL SECURITY",
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'",
        f"GRANT pg_read_all_data TO {role}",
    )
    try:
        with pytest.raises(SourceError, match=r"public\.secret.*row-level security"):
            content(replace(database, user=role, password="x"))
    finally:
        execute(database, f"DROP ROLE {role}")


def test_a_stopped_fingerprint_leaves_no_query_running(database):
    execute(
        database,
        "CREATE TABLE public.slow AS SELECT repeat(md5(g::text), 30) AS s FROM generate_series(1, 200000) g",
    )
    stop = threading.Event()
    stopper = threading.Thread(target=stop_once_it_reads, args=(database, stop), daemon=True)
    stopper.start()
    started = time.monotonic()

    with pytest.raises(SourceError, match="was stopped"):
        content(database, stop=stop, attempt="stopped")

    stopper.join()
    assert time.monotonic() - started < 30
    with database.connect() as session:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            left = session.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backstop:stopped'"
            ).fetchone()
            if left == (0,):
                break
    assert left == (0,)


def stop_once_it_reads(connection: ClusterConnection, stop: threading.Event) -> None:
    with connection.connect() as session:
        while not session.execute(
            "SELECT FROM pg_stat_activity WHERE application_name = 'backstop:stopped' AND query ~ 'sum'"
        ).fetchall():
            time.sleep(0.01)
    stop.set()


def test_an_extensions_configuration_table_counts_only_the_users_rows(database):
    execute(database, "CREATE TABLE public.config AS SELECT generate_series(1, 10) AS i")
    with database.connect() as session:
        (table,) = with_sizes(session, list_tables(session))

    (counted,), _ = take_content(database, tables=[replace(table, condition="WHERE i > 7")])

    assert counted.rows == 3
