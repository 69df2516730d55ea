"""Backups of a database in full use: each is proven or has given way, and the application never waits."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.errors import SourceBusyError
from backstop.postgres import isolation
from tests.long.workload import SCHEMA, Workload
from tests.protection import protect, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres
    from tests.long.trials import Campaign

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(3600)]

# docs/design.md, invariant 11.
LONGEST_WAIT_SECONDS = 1.0
RATES = (0.0, 1.0, 3.0, 6.0, 12.0)


def test_backups_amid_schema_changes_are_proven_and_nobody_waits_for_them(
    folder: Path,
    postgres18: EmbeddedPostgres,
    new_database: Callable[[EmbeddedPostgres], ClusterConnection],
    campaign: Callable[[str, int], Campaign],
    monkeypatch: pytest.MonkeyPatch,
):
    found = isolation.choose_isolation("required")
    monkeypatch.setattr(isolation, "choose_isolation", lambda _policy: found)
    database = new_database(postgres18)
    with database.connect() as session:
        session.execute("RESET search_path")
        session.execute(SCHEMA.encode())
    protection = protect(folder, database)
    trials = campaign("concurrency", 35)
    for trial in trials:
        protection.clock = lambda ahead=timedelta(minutes=trial.number): utc_now() + ahead
        rate = RATES[trial.number % len(RATES)]
        report, gave_up = None, None
        with Workload(database, f"{trials.seed}/{trial.number}", schema_changes_a_second=rate) as workload:
            try:
                report = protection.back_up(pause=lambda _seconds: None)
            except SourceBusyError as error:
                gave_up = error
        where = trials.repeat(trial.number)
        # Too much going on is a reason to give up, and then to leave nothing.
        assert report or (rate > 0 and gave_up and gave_up.hint), where
        assert workload.failures == [], where
        assert workload.longest_wait_for_us_seconds < LONGEST_WAIT_SECONDS, where
        trials.note(
            wait_for_us_seconds=workload.longest_wait_for_us_seconds,
            statement_seconds=workload.longest_statement_seconds,
            statements=workload.statements,
            refused=workload.refused,
            outcome=f"{rate} schema changes a second: "
            + (f"backed up, gave way {report.yielded} times" if report else "gave up"),
        )
        if report:
            proof = protection.prove(report.label)
            assert proof.differences == (), where
        else:
            assert protection.published() == {"local": []}, where
        shutil.rmtree(folder / "repository")
    assert any("backed up" in note["outcome"] for note in trials.notes)
