"""Every hard database: backed up, restored in scratch, equal by Backstop's account and by the differ's."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.commands.database.compare import compare_restored, expected_fingerprint
from backstop.commands.database.fetch import fetch_backup
from backstop.commands.database.restored_copy import RestoredCopy, restored_in_scratch
from backstop.commands.progress import Silent
from backstop.model.backup import BackupLabel
from backstop.postgres.isolation import choose_isolation
from tests.fidelity.corpus import DATABASES, CorpusDatabase
from tests.fidelity.differ import Image, capture, differences
from tests.protection import Protection, protect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

SUPERUSER = "postgres"

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("hard", DATABASES, ids=lambda hard: hard.name)
def test_a_hard_database_comes_back_equal(corpus_cluster, hard: CorpusDatabase, folder):
    cluster = corpus_cluster.connection()
    with cluster.connect() as session:
        if not hard.fits(session):
            pytest.skip(f"this server cannot make {hard.name}: needs {hard.needs}")
    try:
        source = hard.create(cluster)
        expected = image(corpus_cluster, source)
        protection = protect(folder, source)
        report = protection.back_up()

        with restored(protection, report.label) as copy:
            verdict = judged(copy)
            found = image(corpus_cluster, copy.database)
        again = image(corpus_cluster, source)
    finally:
        hard.drop(cluster)

    assert verdict == []
    assert differences(expected, found) == []
    assert again == expected, "backing up changed the source"


@contextmanager
def restored(protection: Protection, label: str) -> Iterator[RestoredCopy]:
    """The backup in a scratch server, isolated as far as this machine can."""
    repository = protection.repository("local")
    manifest = repository.catalog.backup(BackupLabel(label)).manifest
    scratch = protection.verify.scratch
    scratch.mkdir(exist_ok=True)
    dump = fetch_backup(
        repository,
        manifest,
        keyring=protection.keyring,
        destination=scratch / "dump",
        jobs=2,
        progress=Silent(),
    )
    with restored_in_scratch(
        manifest,
        dump=dump,
        expected=expected_fingerprint(dump),
        parent=scratch,
        isolation=choose_isolation("required"),
        hide=protection.verify.hide,
        jobs=2,
    ) as copy:
        yield copy


def judged(copy: RestoredCopy) -> list[str]:
    return compare_restored(copy.expected, copy.database, tools=copy.tools, jobs=2, reference=copy.reference)


def image(server: EmbeddedPostgres, connection: ClusterConnection) -> Image:
    """Without what a copy must not take over: subscriptions, and the superuser's own password."""
    taken = capture(connection, pg_dump=server.bin_dir / "pg_dump")
    schema = tuple(entry for entry in taken.schema if "; Type: SUBSCRIPTION;" not in entry)
    roles = {name: facts for name, facts in taken.roles.items() if name != SUPERUSER}
    return replace(taken, schema=schema, roles=roles)
