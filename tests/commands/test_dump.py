"""A backup is whole, lies in every repository, and a restore of it is equal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.database import dump
from backstop.errors import IntegrityError, SourceError
from tests.protection import protect, s3_corner, utc_now

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


@pytest.mark.parametrize(("hours", "word"), [(1, "ahead of"), (-24 * 365, "behind")])
def test_a_machine_with_a_wrong_clock_takes_no_backup(
    folder: Path, database: ClusterConnection, hours: int, word: str
):
    protection = protect(folder, database)
    protection.clock = lambda: utc_now() + timedelta(hours=hours)
    strict = replace(protection.dump, clock_tolerance=timedelta(minutes=5))

    with pytest.raises(SourceError, match=word):
        protection.back_up(settings=strict)

    assert not (folder / "repository").exists()


def test_two_backups_within_one_second_get_a_label_each(folder: Path, database: ClusterConnection):
    protection = protect(folder, database)
    started = utc_now()
    paused: list[float] = []
    protection.clock = lambda: started + timedelta(seconds=sum(paused))

    first = protection.back_up(pause=paused.append).label
    second = protection.back_up(pause=paused.append).label

    assert first != second
    assert protection.published() == {"local": [first, second]}


def test_a_dump_that_is_published_while_the_lease_is_taken_does_not_make_the_server_a_copy(
    folder: Path, database: ClusterConnection, monkeypatch: pytest.MonkeyPatch
):
    """A repository that is slow to answer keeps a dump from starting for minutes."""
    protection = protect(folder, database)
    honest = dump.acquire_in

    def slow(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(dump, "acquire_in", honest)
        with database.connect() as session:
            session.execute("RESET search_path")
            session.execute("CREATE TABLE meanwhile AS SELECT 1")
        protection.back_up()
        return honest(*given, **named)

    monkeypatch.setattr(dump, "acquire_in", slow)
    protection.back_up()
    assert len(protection.published()["local"]) == 2


def test_a_repository_that_is_none_of_ours_is_named_before_anything_is_dumped(
    folder: Path, database: ClusterConnection
):
    protection = protect(folder, database)
    (folder / "repository").mkdir(mode=0o700)
    (folder / "repository" / "repository.json").write_text("{}")

    with pytest.raises(IntegrityError, match="has format None, which no release ever wrote"):
        protection.back_up()

    assert not list((folder / "repository").rglob("data"))
