"""What somebody types names the tables that PostgreSQL would understand by it."""

from __future__ import annotations

import pytest

from backstop.errors import ConfigurationError, NotFoundError
from backstop.model.table_patterns import find_tables
from backstop.postgres.names import qualified_name

KNOWN = [
    ("lab", "equipment"),
    ("lab", "readings_2025"),
    ("lab", "readings_2026"),
    ("public", "equipment"),
    ("public", "Table A"),
    ("public", "a.b"),
    ("public", "Größe*"),
]


def find(*texts: str):
    return find_tables(texts, KNOWN, shown=lambda name: qualified_name(*name))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lab.equipment", [("lab", "equipment")]),
        ("LAB.Equipment", [("lab", "equipment")]),
        ("readings_2025", [("lab", "readings_2025")]),
        ("lab.readings_*", [("lab", "readings_2025"), ("lab", "readings_2026")]),
        ("lab.readings_202?", [("lab", "readings_2025"), ("lab", "readings_2026")]),
        ("*.equipment", [("lab", "equipment"), ("public", "equipment")]),
        ('public."Table A"', [("public", "Table A")]),
        ('"a.b"', [("public", "a.b")]),
        ('"Größe*"', [("public", "Größe*")]),
        ('public."T"*', [("public", "Table A")]),
    ],
)
def test_a_name_is_read_as_psql_reads_it(text, found):
    assert find(text) == found


def test_tables_that_two_patterns_find_are_taken_once():
    assert find("lab.*", "lab.equipment") == [one for one in KNOWN if one[0] == "lab"]


def test_a_name_in_several_schemas_has_to_be_qualified():
    with pytest.raises(ConfigurationError, match=r"lab\.equipment, public\.equipment"):
        find("equipment")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("lab.equipmnt", "did you mean lab.equipment?"),
        ("public.table a", 'did you mean public."Table A"?'),
        ('"TABLE A"', 'did you mean public."Table A"?'),
        ("lab.xyzzy9", "it has: lab.equipment"),
    ],
)
def test_a_wrong_name_is_answered_with_what_was_meant(text, meant):
    with pytest.raises(NotFoundError) as caught:
        find("lab.readings_*", text)
    assert caught.value.hint.startswith(meant)


@pytest.mark.parametrize("text", ["", ".", "lab.", "a.b.c", 'lab."open', '""'])
def test_what_names_no_table_is_refused(text):
    with pytest.raises(ConfigurationError):
        find(text)


def test_to_ask_for_nothing_is_a_mistake():
    with pytest.raises(ConfigurationError, match="no table was asked for"):
        find()


def test_an_empty_backup_says_so():
    with pytest.raises(NotFoundError) as caught:
        find_tables(["a"], [], shown=str)
    assert caught.value.hint == "it has no tables at all"
