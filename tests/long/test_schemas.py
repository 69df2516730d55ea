"""Databases that nobody thought of are backed up and come back equal, on every version."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from backstop.postgres import isolation
from tests.long.schemas import SchemaMaker
from tests.long.trials import FOLDER
from tests.protection import protect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres
    from tests.long.trials import Campaign

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(3600)]


def build(database: ClusterConnection, statements: list[str]) -> list[str]:
    """Run them all; those that make no sense together are left out. Returns what was done."""
    done = []
    with database.connect() as session:
        session.execute("SET lock_timeout = '10s'")
        for statement in statements:
            try:
                session.execute(statement.encode())
            except psycopg.Error:
                continue
            done.append(statement)
    return done


@pytest.mark.parametrize("version", ["postgres18", "postgres16"])
def test_a_random_database_comes_back_equal(
    folder: Path,
    version: str,
    new_database: Callable[[EmbeddedPostgres], ClusterConnection],
    campaign: Callable[[str, int], Campaign],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
):
    found = isolation.choose_isolation("required")
    monkeypatch.setattr(isolation, "choose_isolation", lambda _policy: found)
    server: EmbeddedPostgres = request.getfixturevalue(version)
    trials = campaign(f"schemas-{version}", 45)
    for trial in trials:
        database = new_database(server)
        wanted = SchemaMaker(trial.random).statements()
        done = build(database, wanted)
        script = FOLDER / f"{trials.name}-{trials.seed}-{trial.number}.sql"
        script.parent.mkdir(exist_ok=True)
        script.write_text(";\n".join(done) + ";\n", encoding="utf-8")
        place = folder / str(trial.number)
        place.mkdir(mode=0o711)
        protection = protect(place, database)

        report = protection.back_up()
        proof = protection.prove(report.label)

        assert proof.differences == (), f"{trials.repeat(trial.number)}, made by {script}"
        trials.note(
            tables=report.tables, rows=report.rows, statements=len(done), senseless=len(wanted) - len(done)
        )
        script.unlink()
        shutil.rmtree(place)
        with server.connect() as session:
            session.execute(f'DROP DATABASE "{database.dbname}" WITH (FORCE)')
