"""Drills and incidents on the pages: what was rehearsed, how it ended, and the report of each."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.repository.drills import store_drill, store_incident
from backstop.repository.inventory import Inventory
from backstop.ui.inventory import InventoryConnection
from tests.evidenced import DRILL, FAILED_DRILL, INCIDENT, moved
from tests.ui.conftest import NOW
from tests.ui.test_pages import Checked, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres
    from tests.ui.conftest import Site

pytestmark = pytest.mark.integration

AGO = NOW - timedelta(days=3) - datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
PASSED, FAILED = moved(DRILL, AGO), moved(FAILED_DRILL, AGO - timedelta(days=30))
HOSTILE = "</title><script>alert('it\"s')</script>&amp;"


def incident_row(incident):
    from backstop.model.incident_document import incident_document

    return {
        "target": incident.target,
        "incident_id": incident.incident_id,
        "declared_at": incident.declared_at,
        "closed_at": incident.ended_at,
        "document": incident_document(incident),
    }


@pytest.fixture(scope="module")
def rehearsed(postgres18: EmbeddedPostgres) -> ClusterConnection:
    """An inventory with two drills and an incident of one target."""
    with postgres18.connect() as session:
        session.execute("CREATE DATABASE ui_rehearsed TEMPLATE template0")
    connection = postgres18.connection("ui_rehearsed")
    inventory = Inventory(connection)
    inventory.migrate()
    for drill in (PASSED, FAILED):
        store_drill(inventory, drill)
    store_incident(inventory, **incident_row(moved(INCIDENT, AGO - timedelta(days=60))))
    return connection


@pytest.fixture
def read(open_site: Callable[..., Site], rehearsed: ClusterConnection) -> Callable[..., str]:
    site = open_site(lambda: InventoryConnection.to(rehearsed))

    def read(path: str = "", status: int = 200) -> str:
        answer = site.client.get(f"/backstop/{path}", headers=site.as_("ada"))
        assert answer.status_code == status
        return answer.text

    return read


def test_the_last_drill_is_told_with_its_scenario_its_result_and_what_it_measured(read):
    page = read("targets/calibrify")

    Checked(page)
    said = words(page).split("Last drill")[1]
    assert "passed : everything is lost, 2026-11-20 13:20:15Z" in said
    assert "1 of 5 objectives missed: RTO of files: config" in said
    assert "Longest until back 1 h 20 min (files: config)" in said
    assert "Signed off by ada" in said
    assert "2 d ago" in said


def test_every_drill_and_incident_is_in_the_list_and_leads_to_its_report(read):
    page = read("targets/calibrify")

    assert "All drills and incidents (3)" in words(page)
    for path in (
        f"drills/{PASSED.drill_id}",
        f"drills/{FAILED.drill_id}",
        f"incidents/{INCIDENT.incident_id}",
    ):
        assert f'href="/backstop/targets/calibrify/{path}"' in page
        Checked(read(f"targets/calibrify/{path}"))
    assert "nobody yet" in words(page)


def test_the_report_in_the_page_says_what_the_file_says(read):
    page = read(f"targets/calibrify/drills/{PASSED.drill_id}")
    file = read(f"targets/calibrify/drills/{PASSED.drill_id}/report.html")

    inner = page.split('<div class="report">')[1].split("</main>")[0].strip()
    whole = file.split("<main>")[1].split("</main>")[0].strip()
    assert inner.removesuffix("</div>").strip() == whole


@pytest.mark.parametrize("path", [f"drills/{PASSED.drill_id}", f"incidents/{INCIDENT.incident_id}"])
def test_a_report_in_a_page_needs_nothing_that_the_policy_of_pages_forbids(read, path):
    checked = Checked(read(f"targets/calibrify/{path}"))

    assert checked.inline == []
    assert "/backstop/report.css" in checked.loaded
    assert "<style" not in read(f"targets/calibrify/{path}")
    assert ".report" in read("report.css")


def test_a_report_as_a_file_may_less_than_a_page(open_site, rehearsed):
    site = open_site(lambda: InventoryConnection.to(rehearsed))
    path = f"/backstop/targets/calibrify/drills/{PASSED.drill_id}/report.html"

    answer = site.client.get(path, headers=site.as_("ada"))

    (policy,) = answer.headers.get_list("content-security-policy")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'self'" in policy
    assert answer.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("path", ["drills/drill-none", "incidents/none", "drills/%00", "incidents/%00"])
def test_what_the_inventory_does_not_know_is_no_page_and_says_who_to_ask(read, path):
    said = words(read(f"targets/calibrify/{path}", 404))

    assert "python -m backstop" in said


def test_a_report_of_a_target_is_for_those_who_may_see_it(open_site, rehearsed):
    site = open_site(lambda: InventoryConnection.to(rehearsed))
    eve = site.as_("eve", reads=["watch_backups", "back_up_database__system-001"])

    for path in (f"drills/{PASSED.drill_id}", f"drills/{PASSED.drill_id}/report.html"):
        assert site.client.get(f"/backstop/targets/calibrify/{path}", headers=eve).status_code == 404


def test_the_overview_says_how_the_last_drill_went_where_there_was_one(read):
    rows = dict(re.findall(r'<tr data-name="([^"]+)".*?>(.*?)</tr>', read(), re.DOTALL))

    assert "last drill passed , objectives missed, " in words(rows["calibrify"])
    assert "last drill" not in rows["system-001"]


def test_no_text_of_a_drill_becomes_markup(rehearsed, read):
    drill = replace(
        PASSED,
        target="system-002",
        drill_id=f"drill-1-{HOSTILE.replace('/', '')}",
        scenario=HOSTILE,
        requested_by=HOSTILE,
        components=tuple(replace(one, component=f"tree:{HOSTILE}") for one in PASSED.components),
        sign_off=replace(PASSED.sign_off, by=HOSTILE, remarks=HOSTILE),
    )
    store_drill(Inventory(rehearsed), drill)

    page = read("targets/system-002")

    Checked(page)
    assert "<script>alert" not in page
    (address,) = set(re.findall(r'href="/backstop/(targets/system-002/drills/[^"/]+)"', page))
    Checked(read(address))
    assert "<script>alert" not in read(address)
    assert "<script>alert" not in read()


def test_an_incident_that_goes_on_stands_open_in_the_list(rehearsed, read):
    running = replace(moved(INCIDENT, AGO), target="system-001", ended_at=None, components=(), outcome="")
    store_incident(Inventory(rehearsed), **incident_row(running))

    page = read("targets/system-001")

    assert re.search(r"<details open>\s*<summary>All drills and incidents", page)
    assert "goes on" in words(page)


def test_an_incident_of_another_version_is_listed_and_its_page_says_what_is_wrong(rehearsed, read):
    other = replace(moved(INCIDENT, AGO), target="system-001", incident_id="incident-other")
    store_incident(Inventory(rehearsed), **(incident_row(other) | {"document": {"declared_at": "x"}}))

    assert "incident-other" in read("targets/system-001")
    assert "malformed" in read("targets/system-001/incidents/incident-other", 503)
