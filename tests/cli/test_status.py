"""``status``: what could be restored right now, for a terminal and for scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from backstop.cli.main import main
from backstop.model.finding import EVERY_TARGET, Finding, Level
from backstop.model.finding_state import seen
from backstop.repository.drills import store_drill
from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations
from tests.evidenced import DRILL
from tests.fleet import name_of
from tests.fleet_targets import targets_yaml
from tests.fleet_troubles import TROUBLES
from tests.watched import well

pytestmark = pytest.mark.integration

NAMES = {trouble.name: name_of(number) for number, trouble in enumerate(TROUBLES)}

NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)


def credentials_of(inventory):
    connection = {
        "host": inventory.host, "port": inventory.port, "login": inventory.user,
        "password": inventory.password, "schema": inventory.dbname,
    }  # fmt: skip
    return json.dumps({"inventory": connection})


@pytest.fixture
def installation(tmp_path, monkeypatch, fleet, fleet_now):
    """All targets of the fleet, and the moment that its inventory shows."""
    credentials = tmp_path / "connections.json"
    credentials.write_text(credentials_of(fleet))
    credentials.chmod(0o600)
    targets = tmp_path / "targets.yaml"
    targets.write_text(targets_yaml(list(NAMES.values())))
    monkeypatch.setenv("BACKSTOP_TARGETS", str(targets))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))
    monkeypatch.setattr("backstop.cli.verbs.status.utc_now", lambda: fleet_now)
    return targets


def test_all_targets_stand_in_a_table_the_worst_first(installation, capsys):
    assert main(["status"]) == 1

    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["TARGET", "STATUS"]
    assert len(rows) == len(TROUBLES)
    assert rows[0].startswith(f"{NAMES['never backed up']}  nothing can be restored ")
    assert rows[-1].startswith("calibrify   restorable to 14:30:0")
    assert any(row.startswith(f"{NAMES['stale']}  not watched since 20 min ") for row in rows)


def test_one_target_has_its_reasons_and_the_next_steps(installation, capsys):
    assert main(["status", "--target", NAMES["late"]]) == 1

    said = capsys.readouterr().out
    assert "at risk: restorable to" in said
    assert "next: look into back_up_database: is it paused?" in said


def test_a_target_that_is_well_exits_with_0(installation, capsys):
    assert main(["status", "--target", "calibrify"]) == 0

    assert "over the objective" not in capsys.readouterr().out


def test_warnings_alone_do_not_fail_a_script(installation):
    assert main(["status", "--target", NAMES["gap"]]) == 0


def test_json_has_the_same_for_scripts(installation, capsys):
    assert main(["status", "--json", "--target", NAMES["rpo"]]) == 1

    (found,) = json.loads(capsys.readouterr().out)["targets"]
    assert (found["word"], found["loss_seconds"], found["rpo_seconds"]) == ("at risk", 1020.0, 300.0)
    assert [one["check"] for one in found["findings"]] == ["rpo"]


def test_what_is_critical_for_all_targets_fails_a_script_though_each_of_them_is_well(
    installation, capsys, monkeypatch
):
    installation.write_text(targets_yaml(["calibrify"]))
    everywhere = Finding(EVERY_TARGET, "run", "watch_backups", Level.CRITICAL, "watch_backups failed", "look")

    assert main(["status"]) == 0
    monkeypatch.setattr(
        "backstop.commands.recoverability.overview.read_open_findings",
        lambda _: [seen(None, everywhere, NOON)],
    )
    assert main(["status"]) == 1
    assert main(["status", "--target", "calibrify"]) == 0
    capsys.readouterr()
    main(["status", "--json"])
    assert [one["sentence"] for one in json.loads(capsys.readouterr().out)["general"]] == [
        "watch_backups failed"
    ]


def test_without_an_inventory_it_says_who_knows(installation, capsys):
    installation.write_text(installation.read_text().replace("inventory: {conn_id: inventory}\n", ""))

    assert main(["status"]) == 2
    assert "`list` and `recovery-windows` ask the repositories" in capsys.readouterr().err


def test_an_inventory_without_tables_says_how_to_make_them(installation, database, capsys):
    (installation.parent / "connections.json").write_text(credentials_of(database))

    assert main(["status"]) == 2
    assert "migrate-inventory" in capsys.readouterr().err


def test_an_unknown_target_is_not_found(installation):
    assert main(["status", "--target", "unheard-of"]) == 3


def test_the_last_drill_and_how_well_forecasts_hit_are_said(installation, fleet_now, database, capsys):
    inventory = Inventory(database)
    inventory.migrate()
    Observations(database).store([well(now=fleet_now)])
    store_drill(inventory, replace(DRILL, ended_at=fleet_now - timedelta(days=6)))
    (installation.parent / "connections.json").write_text(credentials_of(database))

    assert main(["status", "--target", "calibrify"]) == 0
    said = capsys.readouterr().out
    assert main(["status", "--target", "calibrify", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["targets"]

    assert "17 of 20 restores took as long as their forecast said" in said
    assert "off by 1 min 36 s, 11%" in said
    assert "6 d ago (all): passed, an objective missed, signed off by ada" in said
    assert found["forecast_accuracy"]["judged"] == 20
    assert found["last_drill"]["drill_id"] == DRILL.drill_id
