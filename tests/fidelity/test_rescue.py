"""Every table of every hard database can be rescued, and is what it was."""

from __future__ import annotations

import pytest

from backstop.commands.progress import Silent
from backstop.commands.rescue.plan import Destination
from backstop.commands.rescue.sources import BackupSource
from backstop.commands.rescue.tables import TableRescue
from backstop.errors import BackstopError, NotFoundError
from backstop.model.backup import BackupLabel
from tests.fidelity.corpus import DATABASES, CorpusDatabase
from tests.protection import protect, utc_now

pytestmark = pytest.mark.integration

# Its index needs an operator class, which only a superuser may create.
BY_MOD = "indexed_by_mod"
TABLES = """
SELECT replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|information_schema)'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
"""


# The same tables are rescued below on the oldest server, some into a schema of 16 in test_rescue_tables.
@pytest.mark.parametrize(
    "corpus_cluster",
    [
        pytest.param("18", marks=pytest.mark.xdist_group("corpus-18")),
        pytest.param("16", marks=[pytest.mark.long, pytest.mark.xdist_group("corpus-16")]),
        pytest.param(
            "distribution",
            marks=[pytest.mark.system, pytest.mark.long, pytest.mark.xdist_group("corpus-distribution")],
        ),
    ],
    indirect=True,
)
def test_every_schema_of_the_corpus_is_rescued_into_a_new_one_of_the_live_database(corpus_cluster, folder):
    cluster = corpus_cluster.connection()
    hard = next(one for one in DATABASES if one.name == "corpus_objects")
    try:
        source = hard.create(cluster)
        protection = protect(folder, source)
        label = BackupLabel(str(protection.back_up().label))
        with source.connect() as session:
            found = session.execute(TABLES.encode()).fetchall()
            # Rows in there name types of that schema (regtype): read back as the owner, who has to reach it.
            session.execute("SET default_transaction_read_only = off")
            session.execute("GRANT USAGE ON SCHEMA types TO CURRENT_USER, corpus_owner")
        failed = {}
        for number, schema in enumerate(sorted({one[0] for one in found} - {"extensions"})):
            rescue = TableRescue(
                source=BackupSource(
                    repository=protection.repository("local"),
                    label=label,
                    keyring=protection.keyring,
                    scratch=folder / "staging",
                    clock=utc_now,
                    progress=Silent(),
                ),
                server=cluster,
                database=source.dbname,
                tables=[f'"{one[0]}"."{one[1]}"' for one in found if one[0] == schema and one[1] != BY_MOD],
                into=Destination("schema", f"Rescued {number}"),
                clock=utc_now,
                progress=Silent(),
                triggers=True,
                functions=True,
                allow_superuser=True,
                label=label,
            )
            try:
                rescue.run()
            except BackstopError as error:
                failed[schema] = str(error)
    finally:
        hard.drop(cluster)

    assert failed == {}


@pytest.mark.parametrize("hard", DATABASES, ids=lambda hard: hard.name)
def test_every_table_of_a_hard_database_is_rescued_into_another(corpus_cluster, hard: CorpusDatabase, folder):
    cluster = corpus_cluster.connection()
    with cluster.connect() as session:
        if not hard.fits(session):
            pytest.skip(f"this server cannot make {hard.name}: needs {hard.needs}")
    try:
        source = hard.create(cluster)
        protection = protect(folder, source)
        tables = ["*.*"]
        if hard.name == "corpus_objects":
            # These need an extension, an operator class that only a superuser may create; and what is rescued
            # is made as the database's owner.
            with source.connect() as session:
                found = session.execute(TABLES.encode()).fetchall()
            kept = [one for one in found if one[0] != "extensions" and one[1] != BY_MOD]
            tables = [f'"{schema}"."{name}"' for schema, name in kept]
        label = BackupLabel(str(protection.back_up().label))
        rescue = TableRescue(
            source=BackupSource(
                repository=protection.repository("local"),
                label=label,
                keyring=protection.keyring,
                scratch=folder / "staging",
                clock=utc_now,
                progress=Silent(),
            ),
            server=cluster,
            database=source.dbname,
            tables=tables,
            into=Destination("database", "rescued tables"),
            clock=utc_now,
            progress=Silent(),
            # The corpus belongs to a superuser; what may run as one is the restore's own test.
            allow_superuser=True,
            label=label,
        )
        if hard.name == "corpus empty":
            with pytest.raises(NotFoundError, match="no table"):
                rescue.plan()
            return
        report = rescue.run()
        with source.connect() as session:
            there = len(session.execute(TABLES.encode()).fetchall())
    finally:
        with cluster.connect() as session:
            session.execute('DROP DATABASE IF EXISTS "rescued tables"')
        hard.drop(cluster)

    assert len(report["tables"]) == (there if tables == ["*.*"] else len(tables))
