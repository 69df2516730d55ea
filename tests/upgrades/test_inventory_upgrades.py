"""The inventory through releases: each earlier state is upgraded with its rows; a newer one is left alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from backstop.errors import BackstopError, InventoryTooNewError
from backstop.repository import inventory as inventory_module
from backstop.repository.decisions import Decisions
from backstop.repository.findings import Findings
from backstop.repository.inventory import MIGRATIONS, Inventory
from backstop.repository.inventory_moment import inventory_moment
from backstop.repository.observations import Observations
from backstop.sql import load_sql
from backstop.ui.inventory import InventoryConnection

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration

TABLES = (
    "SELECT table_name::text FROM information_schema.tables "
    "WHERE table_schema = 'public' AND table_name <> 'backup_schema_migration' ORDER BY 1"
)
COLUMNS = (
    "SELECT column_name::text, data_type::text, column_default::text, is_identity::text "
    "FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{}' ORDER BY 1"
)
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
VALUES = {
    "text": "'words'", "character varying": "'words'", "integer": "7", "bigint": "7", "boolean": "true",
    "double precision": "1.5", "ARRAY": "'{one,two}'", "jsonb": """'{"rows": 7}'""",
    "timestamp with time zone": "'2026-11-23 01:00Z'", "timestamp without time zone": "'2026-11-23 01:00'",
}  # fmt: skip


def at(database: ClusterConnection, version: int) -> None:
    """What the release with so many migrations left, a row in every table."""
    with database.connect(autocommit=False) as session:
        session.execute("SET search_path TO public")
        session.execute(load_sql("inventory/schema_migration").encode())
        for number, name in enumerate(MIGRATIONS[:version], start=1):
            session.execute(load_sql(f"inventory/migrations/{name}").encode())
            session.execute(
                "INSERT INTO backup_schema_migration (version, name) VALUES (%s, %s)", (number, name)
            )
        for (table,) in session.execute(TABLES).fetchall():
            columns = {
                name: VALUES[kind]
                for name, kind, default, identity in session.execute(
                    COLUMNS.format(table).encode()
                ).fetchall()
                if default is None and identity == "NO"
            }
            session.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})".encode()
            )


def rows(query: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [one for (one,) in query(f"SELECT to_jsonb(t) FROM {table} t")] for (table,) in query(TABLES)
    }


def schema(query: Any) -> tuple[Any, Any]:
    return {table: query(COLUMNS.format(table)) for (table,) in query(TABLES)}, query(INDEXES)


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
def test_an_inventory_of_every_earlier_release_comes_up_to_date_with_its_rows(
    database, query, new_database, postgres18, version
):
    at(database, version)
    before = rows(query)
    assert len(before) >= (version > 0)
    assert all(len(found) == 1 for found in before.values())

    assert Inventory(database).migrate() == list(MIGRATIONS[version:])
    assert Inventory(database).migrate() == []

    after = rows(query)
    for table, found in before.items():
        assert [{name: one[name] for name in found[0]} for one in after[table]] == found
    fresh = new_database(postgres18)
    Inventory(fresh).migrate()
    with fresh.connect() as session:
        session.execute("SET search_path TO public")
        assert schema(query) == schema(lambda question: session.execute(question).fetchall())


def test_of_eight_who_migrate_at_once_one_does_it_and_the_others_find_it_done(database, query):
    at(database, 3)

    with ThreadPoolExecutor(8) as pool:
        applied = list(pool.map(lambda _: Inventory(database).migrate(), range(8)))

    assert sorted(applied, key=len) == [[]] * 7 + [list(MIGRATIONS[3:])]
    assert query("SELECT count(*) FROM backup_schema_migration") == [(len(MIGRATIONS),)]


def test_a_migration_that_breaks_off_leaves_nothing_of_itself_or_of_those_before(
    database, query, monkeypatch
):
    at(database, 3)
    before = schema(query), rows(query), query("SELECT name FROM backup_schema_migration")
    read = inventory_module.load_sql

    def broken(name: str) -> str:
        return read(name) + (";\nSELECT 1 / 0;" if name.endswith("0007_drills") else "")

    monkeypatch.setattr(inventory_module, "load_sql", broken)
    with pytest.raises((BackstopError, psycopg.Error), match="division by zero"):
        Inventory(database).migrate()

    assert (schema(query), rows(query), query("SELECT name FROM backup_schema_migration")) == before
    monkeypatch.undo()
    assert Inventory(database).migrate() == list(MIGRATIONS[3:])


@pytest.fixture
def newer(database, inventory, query):
    """An inventory that a later release has migrated."""
    query("INSERT INTO backup_schema_migration (version, name) VALUES (99, '0099_of_tomorrow')")
    return database


@pytest.fixture
def inventory(database):
    inventory = Inventory(database)
    inventory.migrate()
    return inventory


REFUSED = r"was migrated by a newer Backstop \(0099_of_tomorrow\); this is Backstop [0-9.]+ — upgrade this"


@pytest.mark.parametrize(
    "use",
    [
        lambda database: Inventory(database).migrate(),
        lambda database: Inventory(database).require(),
        lambda database: Observations(Inventory(database).connection).of("calibrify"),
        lambda database: Findings(Inventory(database).connection).open("calibrify"),
        lambda database: Decisions(Inventory(database).connection).newest(None, limit=1),
        lambda database: inventory_moment(InventoryConnection.to(database)).__enter__(),
    ],
    ids=["migrate", "require", "observations", "findings", "decisions", "pages"],
)
def test_a_newer_inventory_is_neither_migrated_nor_read_nor_written(newer, query, use):
    before = rows(query)

    with pytest.raises(InventoryTooNewError, match=REFUSED):
        use(newer)

    assert rows(query) == before
