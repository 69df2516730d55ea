"""``decisions``: who asked, and who let it go on, for a terminal and for scripts."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from backstop.cli.main import main
from backstop.errors import ConfigurationError
from backstop.model.decision import Answer, Decision
from backstop.repository import inventory
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
def asked(tmp_path, monkeypatch, database):
    credentials = tmp_path / "connections.json"
    credentials.write_text(credentials_of(database))
    credentials.chmod(0o600)
    targets = tmp_path / "targets.yaml"
    targets.write_text(targets_yaml(["calibrify", "other"]))
    monkeypatch.setenv("BACKSTOP_TARGETS", str(targets))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))


@pytest.fixture
def known(asked, database):
    Inventory(database).migrate()
    Decisions(database).record(DECISION)


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


@pytest.mark.parametrize("limit", ["0", "-1", "x", "9" * 30])
def test_a_number_that_is_none_is_refused(known, limit, capsys):
    with pytest.raises(SystemExit):
        main(["decisions", "--limit", limit])
    assert "--limit" in capsys.readouterr().err


def test_an_inventory_of_the_version_before_is_named_with_what_brings_it_up_to_date(
    asked, database, monkeypatch, capsys
):
    with monkeypatch.context() as before:
        before.setattr(inventory, "MIGRATIONS", inventory.MIGRATIONS[:8])
        Inventory(database).migrate()

    assert main(["decisions"]) == ConfigurationError.exit_code
    assert "migrate-inventory" in capsys.readouterr().err
    assert main(["migrate-inventory"]) == 0
    assert main(["decisions"]) == 0
