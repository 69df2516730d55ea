"""One thing changed in the restored copy: verification fails, and says what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.database import restored_copy
from backstop.commands.database.load import load_dump
from tests.fidelity.corpus import CorpusDatabase
from tests.protection import Protection, protect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("damaged-copy")]

SOURCE = CorpusDatabase(
    "damaged_copy",
    content=b"""
        CREATE TABLE equipment (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, due date);
        INSERT INTO equipment (name, due)
        SELECT 'Gauge ' || n, date '2026-01-01' + n FROM generate_series(1, 1000) AS n;
        CREATE TABLE "Odd Name" (id integer, reading double precision);
        INSERT INTO "Odd Name"
        SELECT n, CASE WHEN n = 1 THEN '-0'::float8 ELSE n / 7.0 END FROM generate_series(1, 1000) AS n;
        CREATE TABLE untouched (id integer);
        INSERT INTO untouched VALUES (1);
        CREATE SEQUENCE certificate_number;
        SELECT setval('certificate_number', 700);
        SELECT lo_from_bytea(77001, 'scan');
        CREATE VIEW due AS SELECT id FROM equipment WHERE due < '2026-06-01';
    """,
)
# What is done to the copy before it is compared, and how each sentence of the proof must begin.
DAMAGE = {
    "one changed row": (
        "UPDATE equipment SET due = due + 1 WHERE id = 500",
        "table public.equipment: 1000 rows, but their contents differ",
    ),
    "one missing row": (
        "DELETE FROM equipment WHERE id = 500",
        "table public.equipment: 1000 rows in the backup, 999 restored",
    ),
    "one row too many": (
        'INSERT INTO "Odd Name" VALUES (1, 1)',
        'table public."Odd Name": 1000 rows in the backup, 1001 restored',
    ),
    "one row twice instead of another": (
        'UPDATE "Odd Name" SET (id, reading) = (SELECT id, reading FROM "Odd Name" WHERE id = 3) '
        "WHERE id = 2",
        'table public."Odd Name": 1000 rows, but',
    ),
    "a zero without its sign": (
        'UPDATE "Odd Name" SET reading = 0 WHERE id = 1',
        'table public."Odd Name": 1000 rows, but',
    ),
    "one moved sequence": ("SELECT nextval('certificate_number')", "sequence public.certificate_number: 700"),
    "one moved identity": ("SELECT nextval('equipment_id_seq')", "sequence public.equipment_id_seq: 1000"),
    "one changed byte of a large object": (
        "SELECT lo_put(77001, 0, 'S')",
        "table large objects: 1 rows, but",
    ),
    "one missing large object": (
        "SELECT lo_unlink(77001)",
        ("table large objects: 1 rows in the backup, 0 restored", "definition of LARGE OBJECTS of postgres"),
    ),
    "one missing table": (
        "DROP TABLE untouched",
        ("table public.untouched: missing", "definition of TABLE public.untouched: missing"),
    ),
    "one new index": ("CREATE INDEX extra ON equipment (due)", "definition of INDEX public.extra: not in"),
    "one more grant": ("GRANT SELECT ON due TO PUBLIC", "definition of ACL"),
}


@pytest.fixture(scope="module")
def backed_up(postgres18: EmbeddedPostgres, servers_directory: Path) -> Iterator[tuple[Protection, str]]:
    """The database with one backup, and the backup's label."""
    folder = servers_directory / "damaged-copy"
    folder.mkdir(mode=0o711)
    protection = protect(folder, SOURCE.create(postgres18.connection()))
    yield protection, protection.back_up().label
    SOURCE.drop(postgres18.connection())


def test_an_undamaged_copy_proves_its_backup(backed_up):
    protection, label = backed_up

    proof = protection.prove(label)

    assert proof.differences == ()
    assert proof.matched
    assert proof.checks["rows"] == 2001


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_copy_fails_verification_and_only_what_was_damaged_is_named(backed_up, monkeypatch, damage):
    protection, label = backed_up
    statement, named = DAMAGE[damage]

    def load_and_damage(database: ClusterConnection, *arguments: Any, **options: Any) -> None:
        load_dump(database, *arguments, **options)
        if database.dbname == SOURCE.name:
            with database.connect() as session:
                session.execute("SET search_path = public")
                session.execute(statement.encode())

    monkeypatch.setattr(restored_copy, "load_dump", load_and_damage)
    proof = protection.prove(label)

    assert not proof.matched
    assert proof.differences
    assert all(sentence.startswith(named) for sentence in proof.differences), proof.differences
