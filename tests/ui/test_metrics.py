"""``/backstop/metrics`` at a real inventory."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from backstop.model.finding import Level
from tests.ui.metrics_site import TOKEN, MetricsSite
from tests.watched import NOW, finding, well

pytestmark = pytest.mark.integration
PROMTOOL = shutil.which("promtool")
BEARER = {"Authorization": f"Bearer {TOKEN}"}
GOOD = 'backup_status{kind="dump",target="calibrify"} 1.0'


@pytest.fixture
def site(database, tmp_path):
    site = MetricsSite(database, tmp_path / "token")
    site.inventory.show([well()], now=NOW)
    return site


@pytest.fixture
def scrape(site):
    client = TestClient(site.app)

    def get(**headers):
        return client.get("/backstop/metrics", headers=BEARER | headers)

    return get


def test_whoever_has_a_token_sees_what_the_newest_watch_saw(scrape):
    answer = scrape()

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert GOOD in answer.text


def test_a_pool_without_places_and_one_that_is_gone_are_told(site, scrape):
    told = []
    for site.pools in ({"default_pool": 128, "other": 0}, {"default_pool": 0}, {}):
        told.append([line for line in scrape().text.splitlines() if line.startswith("backstop_pool_places")])

    assert told == [
        [f'backstop_pool_places{{pool="default_pool"}} {value}'] for value in ("128.0", "0.0", "0.0")
    ]


def test_a_procedure_that_is_paused_is_told_as_long_as_it_is(site, scrape):
    told = []
    for site.paused in (["expire_backups__calibrify", "watch_backups"], ["watch_backups"], []):
        told.append([line for line in scrape().text.splitlines() if line.startswith("backstop_procedure_")])

    lines = [
        f'backstop_procedure_paused{{dag_id="{dag_id}",target="{target}"}} 1.0'
        for dag_id, target in (("expire_backups__calibrify", "calibrify"), ("watch_backups", ""))
    ]
    assert told == [lines, lines[1:], []]


def test_backups_are_told_of_while_airflow_does_not_say_what_it_has(site, scrape):
    site.pools = site.paused = None

    answer = scrape()

    assert answer.status_code == 200
    assert GOOD in answer.text
    assert "backstop_pool_places{" not in answer.text
    assert "backstop_procedure_paused{" not in answer.text


def test_openmetrics_is_spoken_when_it_is_asked_for(scrape):
    answer = scrape(Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Basic YWRhOmFkYQ==", 401),
        ("Bearer ", 401),
        ("Bearer guessed", 403),
        (f"Bearer {TOKEN}x", 403),
    ],
)
def test_nobody_else_sees_anything(scrape, header, status):
    answer = scrape(Authorization=header)

    assert answer.status_code == status
    assert "calibrify" not in answer.text
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_token_can_be_exchanged_while_both_are_known(scrape, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\nthe-next-one\n")
    both = [scrape().status_code, scrape(Authorization="Bearer the-next-one").status_code]
    file.write_text("the-next-one\n")

    assert both == [200, 200]
    assert scrape().status_code == 403


@pytest.mark.parametrize("spoil", ["open", "absent", "empty"])
def test_without_a_token_that_is_secret_nothing_is_shown(scrape, tmp_path, spoil):
    file = tmp_path / "token"
    match spoil:
        case "open":
            file.chmod(0o644)
        case "absent":
            file.unlink()
        case "empty":
            file.write_text("# none yet\n")

    answer = scrape()

    assert answer.status_code == 503
    assert "calibrify" not in answer.text
    assert str(file) in answer.text or "BACKSTOP_METRICS_TOKEN_FILE" in answer.text


def test_nothing_old_is_shown_while_the_inventory_is_down(scrape, site):
    before = scrape()
    site.connection = replace(site.inventory.connection, host="127.0.0.1", port=9)  # where nothing listens
    down = scrape()
    site.connection = site.inventory.connection

    assert (before.status_code, down.status_code, scrape().status_code) == (200, 503, 200)
    assert "backup_status" not in down.text
    assert "port 9" in down.text
    assert "check that the server is up" in down.text


def test_an_inventory_without_tables_is_said_to_be_one(scrape, site):
    with site.inventory.connection.connect() as session:
        session.execute("DROP TABLE public.backup_observation")

    answer = scrape()

    assert answer.status_code == 503
    assert "lacks tables of this version" in answer.text
    assert "migrate-inventory" in answer.text


def test_a_configuration_without_an_inventory_is_told_so(scrape, site):
    site.connection = None

    answer = scrape()

    assert answer.status_code == 503
    assert "targets.yaml names no inventory" in answer.text


def test_each_scrape_shows_what_has_changed_since(scrape, site):
    before = scrape().text
    found = [finding("rpo", "base"), finding("size", "dump", Level.WARNING)]
    site.inventory.show([well(kinds=["tree:media"])], found, now=NOW)
    after = scrape().text

    assert GOOD in before
    assert GOOD not in after
    assert 'backup_status{kind="tree:media",target="calibrify"} 1.0' in after
    assert 'backstop_findings{level="critical",target="calibrify"} 1.0' in after


def test_what_has_not_changed_is_not_read_again(scrape, site, monkeypatch):
    # What is read decides what a scrape costs, and unlike milliseconds it is the same on a busy machine.
    scrape()
    parsed = []
    monkeypatch.setattr("backstop.commands.metrics.reading.from_json", parsed.append)

    assert GOOD in scrape().text
    assert parsed == []


@pytest.mark.system
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: make test-deps")
def test_promtool_finds_no_fault_with_names_types_and_help(scrape):
    text = scrape().text

    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
