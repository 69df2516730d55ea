"""Who may look: users that Airflow knows, at what Airflow lets them read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from backstop.model.finding import EVERY_TARGET, Finding, Level
from backstop.ui.inventory import InventoryConnection
from tests.ui.conftest import NOW
from tests.ui.shown_inventory import ShownInventory
from tests.watched import well

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.postgres.connection import ClusterConnection
    from tests.ui.conftest import Site

OPEN = {"/static": "files that are in the public repository", "/metrics": "a token of its own"}


@pytest.fixture
def bare_site(open_site: Callable[..., Site]) -> Site:
    """For what never comes to ask the inventory."""

    def none() -> None:
        raise AssertionError("the inventory was asked")

    return open_site(none)


def test_every_route_but_the_metrics_sends_those_who_are_not_logged_in_to_the_login(bare_site: Site) -> None:
    walked = 0
    for route in bare_site.app.routes:
        path = route.path  # type: ignore[attr-defined]
        if path in OPEN:
            continue
        address = "/backstop" + path.format(
            target="calibrify", label="x", path="x", drill_id="x", incident_id="x"
        )
        for method in route.methods or ():  # type: ignore[attr-defined]
            answer = bare_site.client.request(method, address)
            assert answer.status_code == 303, (method, path)
            assert urlsplit(answer.headers["location"]).path == "/api/v2/auth/login"
            walked += 1
    assert walked >= 5


def test_the_login_leads_back_to_the_page_that_was_asked_for(bare_site: Site) -> None:
    answer = bare_site.client.get(
        "/backstop/targets/calibrify/restore?at=2026-11-23T11:00:00Z&mode=cut%20over"
    )

    back = parse_qs(urlsplit(answer.headers["location"]).query)["next"]
    assert back == ["/backstop/targets/calibrify/restore?at=2026-11-23T11:00:00Z&mode=cut%20over"]


@pytest.mark.parametrize("address", ["/backstop//evil.example/", "/backstop/?next=https://evil.example/"])
def test_the_login_leads_nowhere_else(bare_site: Site, address: str) -> None:
    answer = bare_site.client.get(address)

    if answer.status_code == 303:
        location = urlsplit(answer.headers["location"])
        assert (location.netloc, location.path) == ("", "/api/v2/auth/login")
        assert parse_qs(location.query)["next"][0].startswith("/backstop/")
    else:
        assert answer.status_code == 404


def test_whoever_may_not_read_the_watch_is_told_what_to_ask_for(bare_site: Site) -> None:
    answer = bare_site.client.get(
        "/backstop/", headers=bare_site.as_("eve", reads=["back_up_database__calibrify"])
    )

    assert answer.status_code == 403
    assert "permission to read the DAG watch_backups" in answer.text


@pytest.mark.parametrize(
    "page",
    [
        "targets/calibrify/backups/%00",
        "targets/calibrify/backups/latest",
        "targets/%00",
        "targets/%00/restore",
        "targets/Calibrify%20/backups/20261122T010000Z-dump",
    ],
)
def test_what_nothing_can_be_called_is_not_there_and_is_asked_of_nobody(bare_site: Site, page: str) -> None:
    answer = bare_site.client.get(f"/backstop/{page}", headers=bare_site.as_("ada"))

    assert answer.status_code == 404


@pytest.mark.integration
def test_a_target_whose_backups_one_may_not_read_has_no_row_and_no_page(site: Site) -> None:
    ada = site.as_("ada", reads=["watch_backups", "back_up_database__calibrify"])

    overview = site.client.get("/backstop/", headers=ada)
    assert overview.status_code == 200
    assert "calibrify" in overview.text
    assert "system-001" not in overview.text
    assert site.client.get("/backstop/targets/calibrify", headers=ada).status_code == 200
    for page in ("", "/restore", "/backups/20261122T010000Z-dump"):
        hidden = site.client.get(f"/backstop/targets/system-001{page}", headers=ada)
        unknown = site.client.get(f"/backstop/targets/no-such-one{page}", headers=ada)
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.text.replace("system-001", "no-such-one") == unknown.text


@pytest.mark.integration
def test_no_page_shows_the_token_or_the_inventorys_password(site: Site) -> None:
    somebody = site.as_("t0ken-of-ada")
    somebody_else = {**somebody}
    pages = [site.client.get(f"/backstop{one}", headers=somebody_else) for one in ("/", "/targets/calibrify")]

    assert all(page.status_code == 200 for page in pages)
    assert all("Bearer" not in page.text for page in pages)


@pytest.mark.integration
def test_two_teams_see_each_its_own_targets_and_none_of_the_others(site: Site) -> None:
    teams = {
        name: site.as_(name, reads=["watch_backups", f"back_up_database__{target}"])
        for name, target in (("red", "calibrify"), ("blue", "system-001"))
    }

    seen = {name: site.client.get("/backstop/", headers=headers).text for name, headers in teams.items()}

    assert ("calibrify" in seen["red"], "system-001" in seen["red"]) == (True, False)
    assert ("calibrify" in seen["blue"], "system-001" in seen["blue"]) == (False, True)
    assert site.client.get("/backstop/targets/calibrify", headers=teams["blue"]).status_code == 404


@pytest.mark.integration
def test_what_is_about_no_single_target_is_shown_to_whoever_may_see_all(
    open_site: Callable[..., Site], database: ClusterConnection
) -> None:
    about_all = [
        Finding(
            EVERY_TARGET,
            "configuration",
            "blue.yaml",
            Level.CRITICAL,
            "a file is wrong: blue secrets",
            "mend",
        ),
        Finding(EVERY_TARGET, "undescribed", "repository s3", Level.WARNING, "s3 has blue-shop", "remove it"),
    ]
    ShownInventory(database).show([well(now=NOW)], about_all, now=NOW)
    site = open_site(lambda: InventoryConnection.to(database))
    red = site.as_("red", reads=["watch_backups", "back_up_database__calibrify"])

    mine, all_of_it = (site.client.get("/backstop/", headers=one).text for one in (red, site.as_("ada")))

    assert "blue" not in mine
    assert "2 findings about target files, repositories or procedures. Next: ask an administrator." in mine
    assert "blue secrets" in all_of_it
    assert "blue-shop" in all_of_it
    assert "ask an administrator" not in all_of_it
