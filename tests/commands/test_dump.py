"""A backup is whole, lies in every repository, and a restore of it is equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.protection import protect, s3_corner

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.seaweedfs import EmbeddedSeaweedFS

pytestmark = pytest.mark.integration

ROWS = """
CREATE TABLE equipment (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, due date);
INSERT INTO equipment (name, due) SELECT 'gauge ' || n, date '2026-01-01' + n FROM generate_series(1, 1000) n;
CREATE TABLE measurements (equipment bigint REFERENCES equipment, value numeric, taken timestamptz);
INSERT INTO measurements SELECT 1 + n % 1000, n / 7.0, timestamptz '2026-01-01 00:00Z' + n * interval '1 s'
FROM generate_series(1, 50000) n;
CREATE MATERIALIZED VIEW due AS SELECT count(*) FROM equipment WHERE due < '2026-06-01';
"""


def test_a_backup_lies_in_both_repositories_and_is_proven_from_each(
    folder: Path, database: ClusterConnection, seaweedfs: EmbeddedSeaweedFS
):
    with database.connect() as session:
        session.execute("RESET search_path")
        session.execute(ROWS.encode())
    protection = protect(folder, database, s3=s3_corner(seaweedfs))

    report = protection.back_up()

    assert report.complete
    assert report.rows == 51000
    assert protection.published() == {"local": [report.label], "s3": [report.label]}
    for name in ("local", "s3"):
        proof = protection.prove(report.label, name)
        assert proof.differences == ()
        assert proof.matched
    assert list((folder / "staging").iterdir()) == []
