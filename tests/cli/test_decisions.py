"""``decisions``: who asked, and who let it go on, for a terminal and for scripts."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from backstop.cli.main import main
from backstop.model.decision import Answer, Decision
from backstop.repository.decisions import Decisions
from backstop.repository.inventory import Inventory
from tests.cli.test_status import credentials_of
from tests.fleet_targets import targets_yaml

pytestmark = pytest.mark.integration

MOMENT = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
DECISION = Decision(
    target="calibrify",
    procedure="restore",
    question="Replace calibrify?",
    answer=Answer.REFUSED,
    asked_by="ann",
    answered_by="Ann",
    decided_at=MOMENT,
    because="Ann asked for this restore and cannot approve it too",
    dag_id="restore_database",
    run_id="manual",
)


@pytest.fixture
def known(tmp_path, monkeypatch, database):
    Inventory(database).migrate()
    Decisions(database).record(DECISION)
    credentials = tmp_path / "connections.json"
    credentials.write_text(credentials_of(database))
    credentials.chmod(0o600)
    targets = tmp_path / "targets.yaml"
    targets.write_text(targets_yaml(["calibrify", "other"]))
    monkeypatch.setenv("BACKSTOP_TARGETS", str(targets))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))


def test_a_refused_approval_stands_in_the_list(known, capsys):
    assert main(["decisions"]) == 0

    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["DECIDED", "TARGET", "PROCEDURE", "ANSWER"]
    assert row.split()[2:7] == ["calibrify", "restore", "refused", "ann", "Ann"]


def test_scripts_get_the_reason_too(known, capsys):
    assert main(["decisions", "--target", "calibrify", "--json"]) == 0

    (decision,) = json.loads(capsys.readouterr().out)["decisions"]
    assert decision["because"] == DECISION.because
    assert main(["decisions", "--target", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"decisions": []}
