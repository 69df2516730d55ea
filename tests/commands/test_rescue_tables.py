"""Tables come back out of a backup beside what is live, whole and compared, or not at all."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from backstop.commands.progress import Silent
from backstop.commands.rescue.plan import Destination
from backstop.commands.rescue.sources import BackupSource, RunningSource
from backstop.commands.rescue.tables import TableRescue
from backstop.errors import ConfigurationError, IntegrityError, NotFoundError, RestoreError, VerificationError
from backstop.model.backup import BackupLabel
from tests.protection import Protection, protect, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

SCHEMA = """
CREATE SCHEMA lab;
CREATE TYPE lab.state AS ENUM ('due', 'done');
CREATE DOMAIN lab.serial_number AS text CHECK (VALUE ~ '^[A-Z]');
CREATE FUNCTION lab.short(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT left($1, 3) $$;
CREATE SEQUENCE lab.tickets START 500;
CREATE TABLE lab.sites (id int PRIMARY KEY, name text);
INSERT INTO lab.sites SELECT n, 'site ' || n FROM generate_series(1, 5) n;
CREATE TABLE lab.equipment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE DEFAULT 'unnamed',
    serial lab.serial_number,
    state lab.state DEFAULT 'due',
    states lab.state[],
    ticket bigint DEFAULT nextval('lab.tickets'),
    site int REFERENCES lab.sites,
    label text GENERATED ALWAYS AS (upper(name)) STORED,
    CHECK (length(name) < 100)
);
CREATE INDEX equipment_short ON lab.equipment (lab.short(name));
CREATE STATISTICS lab.equipment_stats ON site, state FROM lab.equipment;
COMMENT ON TABLE lab.equipment IS 'what is calibrated';
COMMENT ON COLUMN lab.equipment.site IS 'where it is';
COMMENT ON INDEX lab.equipment_short IS 'for lists';
COMMENT ON CONSTRAINT equipment_name_key ON lab.equipment IS 'one of each';
INSERT INTO lab.equipment (name, serial, state, states, site)
SELECT 'gauge ' || n, 'S' || n, 'done', '{due,done}', 1 + n % 5 FROM generate_series(1, 300) n;
CREATE FUNCTION lab.touch() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN RAISE EXCEPTION ''no trigger may fire here''; END';
CREATE TABLE lab.readings (
    id bigserial, at date NOT NULL, equipment bigint REFERENCES lab.equipment, value numeric,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX readings_value ON lab.readings (value);
CREATE TABLE lab.readings_2025 PARTITION OF lab.readings FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE lab.readings_2026 PARTITION OF lab.readings FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO lab.readings (at, equipment, value)
SELECT date '2025-01-01' + n % 700, 1 + n % 300, n / 7.0 FROM generate_series(1, 60000) n;
CREATE TABLE public."Prüf ""G"" 7" ("Größe" text PRIMARY KEY, "select" int, "Großes.Feld" serial);
COMMENT ON COLUMN public."Prüf ""G"" 7"."Größe" IS 'mit Umlaut';
INSERT INTO public."Prüf ""G"" 7" SELECT 'größe ' || n, n FROM generate_series(1, 20) n;
CREATE TABLE public.parent (id int);
CREATE TABLE public.child (extra text) INHERITS (public.parent);
INSERT INTO public.child SELECT n, 'x' FROM generate_series(1, 7) n;
CREATE TRIGGER touch BEFORE INSERT ON lab.sites FOR EACH ROW EXECUTE FUNCTION lab.touch();
CREATE VIEW lab.due AS SELECT id FROM lab.equipment;
"""


@dataclass
class Site:
    """A protected database with a backup, and the restore role on its server."""

    protection: Protection
    source: ClusterConnection
    restorer: ClusterConnection
    label: str
    folder: Path

    def rescue(self, *tables: str, schema: str = "rescued", **changes: Any) -> TableRescue:
        source = changes.pop("source", None) or BackupSource(
            repository=changes.pop("repository", self.protection.repository("local")),
            label=BackupLabel(self.label),
            keyring=self.protection.keyring,
            scratch=self.folder / "staging",
            clock=utc_now,
            progress=Silent(),
        )
        return TableRescue(
            **{
                "source": source,
                "server": self.restorer,
                "database": self.source.dbname,
                "tables": tables,
                "into": Destination("schema", schema),
                "clock": utc_now,
                "progress": Silent(),
                "label": BackupLabel(self.label),
                **changes,
            }
        )

    def ask(self, question: str, database: str | None = None) -> Any:
        with self.source.connect(dbname=database or self.source.dbname) as session:
            return session.execute(question.encode()).fetchall()

    def one(self, question: str, database: str | None = None) -> Any:
        return self.ask(question, database)[0][0]

    def databases(self) -> list[str]:
        with self.source.connect(dbname="postgres") as session:
            rows = session.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [self.source.dbname]
            )
            return sorted(name for (name,) in rows)

    def schemas(self) -> set[str]:
        return {name for (name,) in self.ask("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'")}


@pytest.fixture(params=["postgres18", pytest.param("postgres16", marks=pytest.mark.long)])
def site(
    request: pytest.FixtureRequest,
    folder: Path,
    new_database: Callable[[EmbeddedPostgres], ClusterConnection],
) -> Iterator[Site]:
    server: EmbeddedPostgres = request.getfixturevalue(request.param)
    source = new_database(server)
    mark = secrets.token_hex(4)
    owner, restorer = f"owner {mark}", f"restore {mark}"
    with source.connect() as session:
        for statement in (
            "CREATE ROLE {owner}",
            "CREATE ROLE {restorer} LOGIN CREATEDB PASSWORD 'x'",
            "GRANT {owner} TO {restorer}",
            "ALTER DATABASE {database} OWNER TO {owner}",
            "SET ROLE {owner}",
        ):
            session.execute(
                sql.SQL(statement).format(
                    owner=sql.Identifier(owner),
                    restorer=sql.Identifier(restorer),
                    database=sql.Identifier(source.dbname),
                )
            )
        session.execute("RESET search_path")
        session.execute(SCHEMA.encode())
    protection = protect(folder, source)
    label = protection.back_up().label
    made = Site(protection, source, replace(source, user=restorer, password="x"), str(label), folder)
    yield made
    with source.connect(dbname="postgres") as session:
        for name in made.databases():
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        for role in (restorer, owner):
            session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def constraints(site: Site, table: str, database: str | None = None) -> set[str]:
    question = f"SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype <> 'n'"
    return {name for (name,) in site.ask(question, database)}


# Every table of the corpus is rescued on the oldest server, too; here 16 is asked what it may do otherwise.
also16 = pytest.mark.parametrize("site", ["postgres18", "postgres16"], indirect=True)


@also16
def test_a_table_comes_back_with_all_that_is_its_own_and_its_foreign_key_is_named(site: Site):
    with site.source.connect() as session:
        session.execute("TRUNCATE lab.equipment CASCADE")

    report = site.rescue("lab.equipment").run()

    assert report["rows"] == {"rescued.equipment": 300}
    assert report["left_out"] == [
        "foreign key equipment_site_fkey of lab.equipment: it refers to lab.sites, which is not rescued"
    ]
    assert site.one("SELECT count(*) FROM lab.equipment") == 0
    assert constraints(site, "rescued.equipment") == {
        "equipment_pkey", "equipment_name_key", "equipment_name_check",
    }  # fmt: skip
    assert site.one("SELECT count(*) FROM pg_indexes WHERE schemaname = 'rescued'") == 3
    assert site.one("SELECT count(*) FROM pg_statistic_ext WHERE stxnamespace = 'rescued'::regnamespace") == 1
    assert site.one("SELECT obj_description('rescued.equipment'::regclass)") == "what is calibrated"
    assert site.one("SELECT col_description('rescued.equipment'::regclass, 7)") == "where it is"
    assert site.one("SELECT obj_description('rescued.equipment_short'::regclass)") == "for lists"
    # The sequences are copies, and stand where they stood.
    inserted = "INSERT INTO rescued.equipment (name) VALUES ('new') RETURNING id, ticket, state::text, label"
    assert site.ask(inserted) == [(301, 800, "due", "NEW")]
    assert site.one("SELECT last_value FROM lab.tickets") == 799
    assert site.databases() == [site.source.dbname]
    assert list((site.folder / "staging").iterdir()) == []


def test_types_and_functions_that_are_the_same_in_the_live_database_are_used_and_others_brought(site: Site):
    with site.source.connect() as session:
        session.execute("ALTER TYPE lab.state ADD VALUE 'lost'")

    site.rescue("lab.equipment").run()

    types = (
        "SELECT atttypid::regtype::text FROM pg_attribute "
        "WHERE attrelid = 'rescued.equipment'::regclass AND attname ="
    )
    assert site.one(f"{types} 'state'") == "rescued.state"
    assert site.one(f"{types} 'states'") == "rescued.state[]"
    assert site.one(f"{types} 'serial'") == "lab.serial_number"
    assert site.one("SELECT count(*) FROM pg_proc WHERE pronamespace = 'rescued'::regnamespace") == 0


def test_code_that_the_live_database_does_not_have_runs_in_it_only_when_allowed(site: Site):
    with site.source.connect() as session:
        session.execute(
            "CREATE OR REPLACE FUNCTION lab.short(text) RETURNS text LANGUAGE sql IMMUTABLE "
            "AS $$ SELECT left($1, 4) $$"
        )

    with pytest.raises(RestoreError, match=r"lab\.short"):
        site.rescue("lab.equipment").run()
    assert "rescued" not in site.schemas()

    site.rescue("lab.equipment", functions=True).run()
    assert site.one("SELECT rescued.short('gauge')") == "gau"
    assert site.one("SELECT lab.short('gauge')") == "gaug"
    assert "rescued.short(name)" in site.one("SELECT pg_get_indexdef('rescued.equipment_short'::regclass)")


@also16
def test_a_database_that_is_set_read_only_takes_a_rescue(site: Site):
    with site.source.connect(dbname="postgres") as session:
        session.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(
                sql.Identifier(site.source.dbname)
            )
        )

    assert site.rescue("lab.sites").run()["rows"] == {"rescued.sites": 5}


@also16
def test_a_partitioned_table_comes_with_its_partitions_and_their_indexes(site: Site):
    report = site.rescue("lab.readings", "lab.equipment", "lab.sites").run()

    assert report["rows"]["rescued.readings_2025"] + report["rows"]["rescued.readings_2026"] == 60000
    assert site.one("SELECT count(*) FROM rescued.readings") == 60000
    attached = (
        "SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid = inhparent "
        "WHERE c.relnamespace = 'rescued'::regnamespace"
    )
    assert site.one(attached) == 6
    assert "readings_equipment_fkey" in constraints(site, "rescued.readings")
    # A trigger is code, and was not asked for.
    assert report["left_out"] == ["trigger touch of lab.sites: it was not asked for"]
    assert site.one("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 1


def test_a_partition_alone_is_a_table_of_its_own(site: Site):
    report = site.rescue("lab.readings_2026").run()

    assert report["rows"]["rescued.readings_2026"] > 0
    assert any("was a partition of lab.readings" in sentence for sentence in report["left_out"])


def test_triggers_come_when_asked_for_and_do_not_fire_on_the_way(site: Site):
    report = site.rescue("lab.sites", triggers=True).run()

    assert report["rows"] == {"rescued.sites": 5}
    assert site.one("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'rescued.sites'::regclass") >= 1


def test_names_in_upper_case_and_beyond_ascii_come_back(site: Site):
    report = site.rescue('public."Prüf ""G"" 7"', schema='Rettung "2026"').run()

    assert report["rows"] == {'"Rettung ""2026"""."Prüf ""G"" 7"': 20}
    assert site.one('SELECT max("Größe") FROM "Rettung ""2026"""."Prüf ""G"" 7"') == "größe 9"
    inserted = 'INSERT INTO "Rettung ""2026"""."Prüf ""G"" 7" VALUES (\'x\') RETURNING "Großes.Feld"'
    assert site.one(inserted) == 21


def test_a_table_brings_the_one_that_it_inherits_from(site: Site):
    report = site.rescue("child").run()

    assert report["notes"] == ["public.parent comes along: public.child inherits from it"]
    assert site.one("SELECT count(*) FROM rescued.parent") == 7


def test_a_new_database_has_the_tables_under_their_own_names(site: Site):
    name = f"{site.source.dbname}_rescued"

    report = site.rescue("lab.*", into=Destination("database", name)).run()

    assert report["rows"]["lab.equipment"] == 300
    assert site.databases() == [site.source.dbname, name]
    assert site.one("SELECT count(*) FROM lab.readings", name) == 60000
    assert "equipment_site_fkey" in constraints(site, "lab.equipment", name)
    inserted = "INSERT INTO lab.equipment (name) VALUES ('new') RETURNING id, ticket"
    assert site.ask(inserted, name) == [(301, 800)]


@pytest.mark.parametrize("kind", ["schema", "database"])
def test_what_exists_already_is_never_written_to(site: Site, kind: str):
    taken = "lab" if kind == "schema" else site.source.dbname
    before = site.one("SELECT count(*) FROM lab.equipment")

    with pytest.raises(RestoreError, match=f"{kind} {taken} exists already"):
        site.rescue("lab.equipment", into=Destination(kind, taken)).run()

    assert site.one("SELECT count(*) FROM lab.equipment") == before
    assert site.databases() == [site.source.dbname]


def test_a_schema_that_somebody_makes_meanwhile_stays_theirs(site: Site, monkeypatch: pytest.MonkeyPatch):
    rescue = site.rescue("lab.equipment")

    def looked_and_was_late(*_: Any) -> Any:
        owner = checked(*_)
        with site.source.connect() as session:
            session.execute("CREATE SCHEMA rescued CREATE TABLE equipment (mine int)")
        return owner

    checked = TableRescue._check
    monkeypatch.setattr(TableRescue, "_check", looked_and_was_late)
    with pytest.raises(RestoreError, match="rescued"):
        rescue.run()

    assert site.one("SELECT count(*) FROM information_schema.columns WHERE table_schema = 'rescued'") == 1
    assert site.databases() == [site.source.dbname]


def test_a_wrong_name_is_answered_with_the_one_that_was_meant(site: Site):
    with pytest.raises(NotFoundError) as caught:
        site.rescue("lab.equipmnt").plan()
    assert caught.value.hint == "did you mean lab.equipment?"


def test_rows_that_differ_from_the_backups_account_are_not_kept(site: Site, monkeypatch: pytest.MonkeyPatch):
    from backstop.commands.rescue import tables as rescue_tables

    def copy_and_forge(session: Any, *arguments: Any, **options: Any) -> None:
        copied(session, *arguments, **options)
        session.execute("UPDATE rescued.equipment SET site = 1 WHERE id = 7")

    copied = rescue_tables.copy_in
    monkeypatch.setattr(rescue_tables, "copy_in", copy_and_forge)
    with pytest.raises(VerificationError, match="300 rows, but their contents differ"):
        site.rescue("lab.equipment").run()

    assert "rescued" not in site.schemas()
    assert site.databases() == [site.source.dbname]


class Counting:
    """A storage that notes which objects are read."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.opened: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def open(self, key: str, **options: Any) -> Any:
        self.opened.append(key)
        return self._storage.open(key, **options)


def counted(site: Site) -> tuple[Counting, Any]:
    repository = site.protection.repository("local")
    storage = Counting(repository.storage)
    return storage, replace(repository, storage=storage)


def stored(site: Site) -> Any:
    return site.protection.repository("local").catalog.backup(BackupLabel(site.label)).manifest


def test_only_the_objects_that_hold_the_tables_are_read(site: Site):
    storage, repository = counted(site)

    site.rescue("lab.readings_2025", repository=repository).run()

    manifest = stored(site)
    layouts = {one.key: one for one in manifest.objects}
    data, *others = sorted(layouts[key].name for key in storage.opened if key in layouts)
    assert others == ["fingerprint.json", "toc.dat"]
    assert data.endswith(".dat")
    assert len(layouts) > 5


def test_small_tables_come_out_of_their_pack_and_no_large_object_is_read(site: Site):
    storage, repository = counted(site)

    site.rescue("lab.sites", "lab.equipment", repository=repository).run()

    layouts = {one.key: one for one in stored(site).objects}
    read = [layouts[key] for key in storage.opened if key in layouts]
    assert sorted(one.name for one in read) == ["", "fingerprint.json", "toc.dat"]


def test_a_damaged_object_is_named_and_leaves_nothing(site: Site):
    damaged = next(one for one in stored(site).objects if one.name.endswith(".dat") and one.name != "toc.dat")
    path = site.folder / "repository" / damaged.key
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)

    with pytest.raises(IntegrityError, match=damaged.key):
        site.rescue("lab.readings").run()

    assert "rescued" not in site.schemas()
    assert site.databases() == [site.source.dbname]
    assert list((site.folder / "staging").iterdir()) == []


@also16
def test_a_restore_role_without_rights_is_told_what_it_lacks(site: Site):
    with site.source.connect() as session:
        session.execute(sql.SQL("ALTER ROLE {} NOCREATEDB").format(sql.Identifier(site.restorer.user)))
    with pytest.raises(RestoreError, match="may not create databases"):
        site.rescue("lab.equipment").plan()


def test_a_superuser_may_not_rescue(site: Site):
    with pytest.raises(RestoreError, match="superuser"):
        site.rescue("lab.equipment", server=site.source).plan()


def test_two_tables_of_one_name_do_not_go_into_one_schema(site: Site):
    with site.source.connect() as session:
        session.execute("CREATE TABLE public.sites (id int)")
    label = site.protection.back_up(clock=utc_now).label
    site.label = str(label)

    with pytest.raises(ConfigurationError, match=r"lab\.sites and public\.sites"):
        site.rescue("*.sites").plan()
    with pytest.raises(ConfigurationError, match="several tables sites"):
        site.rescue("sites").plan()


@also16
def test_tables_come_out_of_a_running_server_too(site: Site):
    running = RunningSource(site.source, site.folder / "staging")

    report = site.rescue("lab.equipment", "lab.readings", source=running, label=None).run()

    assert report["rows"]["rescued.equipment"] == 300
    assert site.one("SELECT count(*) FROM rescued.readings") == 60000
    inserted = "INSERT INTO rescued.equipment (name) VALUES ('new') RETURNING id, ticket"
    assert site.ask(inserted) == [(301, 800)]
