from __future__ import annotations

import pytest

from backstop.errors import IntegrityError
from backstop.postgres.toc_entries import (
    EntryText,
    name_entries,
    parse_list,
    parse_sequence_values,
    split_entries,
)

PREAMBLE = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET client_encoding = 'UTF8';\n\n"
END = "\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"


def comment(kind: str, schema: str, tag: str, owner: str = "me") -> str:
    return f"--\n-- Name: {tag}; Type: {kind}; Schema: {schema}; Owner: {owner}\n--\n\n"


def test_session_settings_between_entries_belong_to_neither():
    listed = parse_list("1; 1259 11 TABLE public a me\n2; 1259 12 TABLE public b me\n")
    script = (
        f"{PREAMBLE}SET default_table_access_method = heap;\n\n"
        f"{comment('TABLE', 'public', 'a')}CREATE TABLE a;\n\n"
        "SET default_table_access_method = columnar;\n\n"
        f"{comment('TABLE', 'public', 'b')}CREATE TABLE b;\n\n{END}"
    )

    first, second = split_entries(script, listed) or []

    assert first.sql == "CREATE TABLE a;"
    assert second.sql == "CREATE TABLE b;\n-- table access method columnar"


@pytest.mark.parametrize(
    "imitation",
    [
        comment("TABLE", "public", "b"),
        comment("TABLE", "public", "elsewhere"),
        comment("FUNCTION", "public", "f()"),
    ],
)
def test_a_text_that_imitates_an_entry_is_noticed(imitation):
    listed = parse_list("1; 1255 11 FUNCTION public f() me\n2; 1259 12 TABLE public b me\n")
    script = (
        f"{PREAMBLE}{comment('FUNCTION', 'public', 'f()')}CREATE FUNCTION f() AS $$\n{imitation}$$;\n\n\n"
        f"{comment('TABLE', 'public', 'b')}CREATE TABLE b;\n\n{END}"
    )

    assert split_entries(script, listed) is None


def test_a_single_entry_holds_all_that_is_printed_whatever_it_imitates():
    listed = parse_list("1; 1255 11 FUNCTION public f() me\n")
    body = f"CREATE FUNCTION f() AS $$\n{comment('TABLE', 'public', 'b')}{END}$$;"
    script = f"{PREAMBLE}{comment('FUNCTION', 'public', 'f()')}{body}\n\n{END}"

    (entry,) = split_entries(script, listed) or []

    assert entry.sql == body


def test_a_script_without_its_last_line_is_refused():
    with pytest.raises(IntegrityError, match="cut"):
        split_entries(
            PREAMBLE + comment("TABLE", "public", "b"), parse_list("1; 1259 12 TABLE public b me\n")
        )


def test_a_table_in_a_schema_called_data_is_no_table_data():
    table, data, subscription, note, sequence = parse_list(
        "; a comment\n"
        "1; 1259 11 TABLE DATA x me\n"
        "2; 0 11 TABLE DATA DATA x me\n"
        "3; 6100 12 SUBSCRIPTION - s me\n"
        "4; 0 0 COMMENT - SUBSCRIPTION s me\n"
        "5; 0 0 SEQUENCE SET public s me\n"
    )

    assert (table.is_schema, table.is_table_data) == (True, False)
    assert (data.is_schema, data.is_table_data, data.oid) == (False, True, 11)
    assert not subscription.is_schema
    assert not note.is_schema
    assert (sequence.is_schema, sequence.is_sequence_set) == (False, True)


def test_every_entry_keeps_a_name_of_its_own_in_whatever_order_they_come():
    entries = [
        EntryText("DEFAULT ACL", "-", "DEFAULT PRIVILEGES FOR TABLES", owner, sql)
        for owner, sql in (("a", "2"), ("a", "1"), ("b", "3"))
    ] + [EntryText("TABLE", "public", "t", "a", "4")]

    names = name_entries(entries)

    assert names == name_entries(entries[::-1])
    assert names == {
        "DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES of a #1": "1",
        "DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES of a #2": "2",
        "DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES of b": "3",
        "TABLE public.t": "4",
    }


def test_sequences_are_read_whatever_they_are_called():
    listed = parse_list("1; 0 0 SEQUENCE SET public a me\n2; 0 0 SEQUENCE SET S b me\n")
    script = (
        "SELECT pg_catalog.setval('public.a', 5, true);\n"
        "SELECT pg_catalog.setval('\"S\".\"it''s\n"
        "SELECT pg_catalog.setval(''public.c'', 1, true);\"', -7, false);\n"
    )

    odd, plain = parse_sequence_values(script, listed)

    assert (plain.name, plain.last_value, plain.is_called) == ("public.a", 5, True)
    assert odd.name.startswith('"S"."it\'s\n')
    assert (odd.last_value, odd.is_called) == (-7, False)


def test_a_sequence_that_is_listed_but_not_printed_is_noticed():
    with pytest.raises(IntegrityError, match="sets 1 sequences"):
        parse_sequence_values("", parse_list("1; 0 0 SEQUENCE SET public a me\n"))


@pytest.mark.timeout(10)
def test_a_text_made_to_be_slow_to_read_is_read_at_once():
    trap = "--\n-- Name: " + "; Type: ; Schema: ; Owner: " * 50_000 + "\n--\n" + "\n" * 200_000
    listed = parse_list("1; 1255 11 FUNCTION public f() me\n")

    (entry,) = (
        split_entries(f"{PREAMBLE}{comment('FUNCTION', 'public', 'f()')}{trap}$$;\n\n{END}", listed) or []
    )

    assert entry.sql.endswith("$$;")
