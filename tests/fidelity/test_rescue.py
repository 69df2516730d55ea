"""Every table of every hard database can be rescued, and is what it was."""

from __future__ import annotations

import pytest

from backstop.commands.progress import Silent
from backstop.commands.rescue_sources import BackupSource
from backstop.commands.rescue_tables import Destination, TableRescue
from backstop.model.backup import BackupLabel
from tests.fidelity.corpus import DATABASES, CorpusDatabase
from tests.protection import protect, utc_now

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("hard", DATABASES, ids=lambda hard: hard.name)
def test_every_table_of_a_hard_database_is_rescued_into_another(corpus_cluster, hard: CorpusDatabase, folder):
    cluster = corpus_cluster.connection()
    with cluster.connect() as session:
        if not hard.fits(session):
            pytest.skip(f"this server cannot make {hard.name}: needs {hard.needs}")
    try:
        source = hard.create(cluster)
        protection = protect(folder, source)
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
            tables=["*.*"],
            into=Destination("database", "rescued tables"),
            clock=utc_now,
            progress=Silent(),
            # The corpus belongs to a superuser; what may run as one is the restore's own test.
            allow_superuser=True,
            label=label,
        )
        report = rescue.run()
        with source.connect() as session:
            tables = session.execute(
                "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence <> 't' "
                "AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)' "
                "AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')"
            ).fetchone()
    finally:
        with cluster.connect() as session:
            session.execute('DROP DATABASE IF EXISTS "rescued tables"')
        hard.drop(cluster)

    assert len(report["tables"]) == tables[0]
