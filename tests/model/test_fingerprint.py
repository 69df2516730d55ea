"""Two accounts of a database, and the sentences for how they differ."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backstop.errors import IntegrityError
from backstop.model.fingerprint import (
    Fingerprint,
    SchemaEntry,
    SequenceValue,
    TableContent,
    differences,
)

ACCOUNT = Fingerprint(
    tables=(TableContent("public.equipment", 3, "17"), TableContent('public."Odd name"', 0, "0")),
    large_objects=TableContent("large objects", 1, "99"),
    sequences=(SequenceValue("public.equipment_id_seq", 3, is_called=True),),
    schema=(SchemaEntry("TABLE public.equipment", "aa"),),
    database={"encoding": "UTF8", "owner": "calibrify_owner"},
    materialized_views=("public.due",),
)


def with_table(table: TableContent) -> Fingerprint:
    return replace(ACCOUNT, tables=(table, ACCOUNT.tables[1]))


def test_an_account_equals_itself_after_a_round_trip_through_json():
    again = Fingerprint.from_dict(json.loads(json.dumps(ACCOUNT.to_dict())))

    assert differences(ACCOUNT, again) == []
    assert again.schema_sha256 == ACCOUNT.schema_sha256
    assert again.rows == 3


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (with_table(TableContent("public.equipment", 2, "17")), "table public.equipment: 3 rows"),
        (with_table(TableContent("public.equipment", 3, "18")), "their contents differ"),
        (replace(ACCOUNT, tables=ACCOUNT.tables[1:]), "table public.equipment: missing"),
        (
            replace(ACCOUNT, tables=(*ACCOUNT.tables, TableContent("public.extra", 0, "0"))),
            "table public.extra: not in the backup",
        ),
        (replace(ACCOUNT, large_objects=TableContent("large objects", 1, "98")), "large objects"),
        (
            replace(ACCOUNT, sequences=(SequenceValue("public.equipment_id_seq", 4, is_called=True),)),
            "sequence public.equipment_id_seq",
        ),
        (replace(ACCOUNT, sequences=()), "sequence public.equipment_id_seq: missing"),
        (replace(ACCOUNT, schema=(SchemaEntry("TABLE public.equipment", "ab"),)), "TABLE public.equipment"),
        (replace(ACCOUNT, schema=()), "definition of TABLE public.equipment: missing"),
        (replace(ACCOUNT, database={"encoding": "LATIN1", "owner": "calibrify_owner"}), "database encoding"),
        (replace(ACCOUNT, materialized_views=()), "materialized view public.due"),
    ],
)
def test_every_difference_is_one_sentence_that_names_its_object(found: Fingerprint, sentence: str):
    (only,) = differences(ACCOUNT, found)

    assert sentence in only


def test_a_settings_value_is_not_repeated_where_it_would_be_published():
    before = replace(ACCOUNT, database={"settings": [{"role": None, "settings": ["app.key=hunter2"]}]})

    (sentence,) = differences(before, replace(ACCOUNT, database={"settings": []}))

    assert "settings" in sentence
    assert "hunter2" not in sentence


def test_counted_rows_are_compared_by_number_alone():
    counted = with_table(TableContent("public.equipment", 3, None))

    assert counted.counts_only
    assert differences(counted, ACCOUNT) == []
    assert differences(counted, with_table(TableContent("public.equipment", 4, "x"))) != []


@pytest.mark.parametrize("missing", ["tables", "schema", "bootstrap_superuser"])
def test_a_malformed_account_is_refused(missing: str):
    document = ACCOUNT.to_dict()
    del document[missing]

    with pytest.raises(IntegrityError, match="malformed"):
        Fingerprint.from_dict(document)
