"""``metrics``: for node_exporter's textfile collector, from the inventory alone."""

from __future__ import annotations

import json

import pytest

from backstop.cli.main import main
from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations
from tests.cli.installation import install, runner
from tests.watched import well

pytestmark = pytest.mark.integration
SEEN = 'backstop_backups{kind="dump",target="calibrify"} 30.0'


@pytest.fixture
def installation(tmp_path, monkeypatch, database):
    folder = install(tmp_path, monkeypatch)
    with (folder / "targets.yaml").open("a") as file:
        file.write("inventory: {conn_id: inventory}\n")
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(folder / "connections.json"))
    connect(folder, database)
    Inventory(database).migrate()
    Observations(database).store([well(), well("no_longer_protected")])
    return folder


@pytest.fixture
def run(installation, capsys):
    return runner(capsys, "metrics")


def connect(folder, database, **changes):
    connection = {
        "conn_type": "postgres",
        "host": database.host,
        "port": database.port,
        "login": database.user,
        "password": database.password,
        "schema": database.dbname,
    }
    file = folder / "connections.json"
    file.write_text(json.dumps({"inventory": connection | changes}))
    file.chmod(0o600)


def test_what_the_newest_watch_saw_is_printed_of_targets_that_there_are(run):
    code, out, _ = run()

    assert code == 0
    assert SEEN in out.splitlines()
    assert "no_longer_protected" not in out


def test_programs_that_do_not_speak_prometheus_read_json(run):
    samples = json.loads(run("--json")[1])

    labels = {"target": "calibrify", "kind": "dump"}
    assert {"name": "backstop_backups", "labels": labels, "value": 30} in samples


def test_a_file_is_replaced_whole_and_readable_by_everyone(run, installation):
    folder = installation / "collected"
    folder.mkdir()
    file = folder / "backstop.prom"
    file.write_text("old")

    code, out, _ = run("--output", str(file))

    assert (code, out) == (0, "")
    assert SEEN in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in folder.iterdir()] == ["backstop.prom"]


def test_no_old_file_stays_when_the_inventory_is_down(run, installation, database):
    file = installation / "backstop.prom"
    run("--output", str(file))
    connect(installation, database, host="127.0.0.1", port=9)

    code, _, err = run("--output", str(file))

    assert code == 5
    assert "check that the server is up" in err
    assert not file.exists()


def test_a_place_that_cannot_be_written_is_named(run, installation):
    code, _, err = run("--output", str(installation / "absent" / "backstop.prom"))

    assert code == 2
    assert "absent/backstop.prom cannot be written" in err


def test_without_an_inventory_the_verb_says_what_to_add(run, installation):
    file = installation / "targets.yaml"
    file.write_text(file.read_text().replace("inventory: {conn_id: inventory}\n", ""))

    assert main(["metrics"]) == 2
