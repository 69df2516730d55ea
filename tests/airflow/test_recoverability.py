"""The Recoverability page in the real Airflow, as people come to it: login, navigation, restore to here.

The pictures go to BACKSTOP_SCREENS, when it names a folder, for somebody to look at.
"""

from __future__ import annotations

import re
import urllib.request
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from backstop.model.observation import ComponentSeen, Observation, RepositorySeen, WindowSeen
from backstop.repository.observations import Observations
from embedded import databases
from embedded.airflow_api import ENDED
from embedded.demo import TARGET, WATCH
from tests.airflow.browsing import picture, signed_in
from tests.chromium import needs_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.airflow.conftest import Scene

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("airflow"),
    needs_chromium,
]

RECOVER = "restore_to_point_in_time"
RESTORE_PAGE = f"/backstop/targets/{TARGET}/restore"
LOSS = timedelta(minutes=17)


@pytest.fixture(scope="module", autouse=True)
def quiet_watch(scene: Scene) -> Iterator[None]:
    """The real watch would replace what is planted by what it sees."""
    scene.admin.wait_for_dag(WATCH)
    scene.admin.send("PATCH", f"/api/v2/dags/{WATCH}", {"is_paused": True})
    end_runs(scene, WATCH)
    yield
    # What the form started asks for approvals that nobody here gives.
    end_runs(scene, RECOVER)
    scene.admin.send("PATCH", f"/api/v2/dags/{WATCH}", {"is_paused": False})


def end_runs(scene: Scene, dag_id: str) -> None:
    for run in scene.admin.runs(dag_id):
        if scene.admin.state(run) not in ENDED:
            scene.admin.send("PATCH", run.path, {"state": "failed"})


@pytest.fixture
def moment(scene: Scene) -> str:
    """What the newest watch is made to have seen: any moment of the last six hours, and a loss that is too
    much. A moment in there, as people type it.
    """
    now = datetime.now(timezone.utc).replace(microsecond=0)
    window = WindowSeen(
        repository="local",
        timeline=1,
        begins_at=now - timedelta(hours=6),
        ends_at=now - timedelta(minutes=1),
        begin_lsn="0/2000028",
        end_lsn="0/9000000",
        bases=("20261123T030000Z-full",),
        newest=True,
    )
    seen = Observation(
        target=TARGET,
        observed_at=now,
        took_seconds=0.5,
        components=(ComponentSeen("base", loss=LOSS, rpo=timedelta(minutes=5), rto=timedelta(hours=1)),),
        repositories=(RepositorySeen("local", "/backups", reachable=True, stored_bytes=10**9),),
        windows=(window,),
    )
    Observations(scene.stack.metadata.connection(databases.INVENTORY, databases.INVENTORY)).store([seen])
    return f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def stranger(browser: Browser, scene: Scene) -> Iterator[Page]:
    """A page of somebody who has not signed in."""
    context = browser.new_context(base_url=scene.stack.airflow().url)
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def newest_run(scene: Scene) -> dict[str, Any]:
    answer = scene.admin.get(f"/api/v2/dags/{RECOVER}/dagRuns?order_by=-run_after&limit=1")
    return dict(answer["dag_runs"][0]) if answer["dag_runs"] else {"dag_run_id": None}


def test_whoever_is_not_signed_in_signs_in_and_comes_back(
    scene: Scene, browser: Browser, moment: str
) -> None:
    with stranger(browser, scene) as page:
        page.goto(f"{RESTORE_PAGE}?at={moment}")
        assert "/auth/login" in page.url
        assert "Restore" not in page.inner_text("body")
        page.fill("input[name=username]", "viewer")
        page.fill("input[name=password]", scene.stack.airflow().passwords()["viewer"])
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=f"Restore {TARGET}").wait_for()
        assert page.url.endswith(f"{RESTORE_PAGE}?at={moment}")


def test_nothing_but_the_login_is_shown_without_one(scene: Scene, browser: Browser) -> None:
    with stranger(browser, scene) as page:
        for path in ("/backstop/", f"/backstop/targets/{TARGET}", RESTORE_PAGE):
            assert page.request.get(path, max_redirects=0).status == 303
        assert page.request.post(RESTORE_PAGE, max_redirects=0).status == 303
        assert page.request.get("/backstop/metrics", max_redirects=0).status == 401


def test_the_metrics_open_with_their_own_token(scene: Scene, moment: str) -> None:
    assert moment
    server = scene.stack.airflow()
    request = urllib.request.Request(  # noqa: S310 our own server
        server.metrics,
        headers={"Authorization": f"Bearer {scene.stack.home.metrics_token.read_text().strip()}"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    assert [line for line in lines if line.startswith("backup_status{")]
    # As the fixture does.
    assert [line for line in lines if line.startswith("backstop_procedure_paused{")] == [
        f'backstop_procedure_paused{{dag_id="{WATCH}",target=""}} 1.0'
    ]


def test_airflows_navigation_leads_to_what_can_be_restored(
    scene: Scene, browser: Browser, moment: str
) -> None:
    assert moment
    with signed_in(browser, scene, "viewer") as page:
        page.get_by_role("link", name="Recovery", exact=True).first.click()
        frame = page.frame_locator("iframe")
        row = frame.get_by_role("row").filter(has_text=TARGET)
        row.get_by_text("17 min").first.wait_for()
        frame.get_by_role("heading", name="1 procedure is paused: nothing of it is started").wait_for()
        assert "/plugin/recoverability" in page.url
        picture(page, "recoverability-in-airflow")
        frame.get_by_role("link", name=TARGET, exact=True).click()
        frame.get_by_role("heading", name=TARGET, exact=True).wait_for()
        picture(page, "recoverability-target-in-airflow")


def test_restore_to_here_starts_the_right_run_by_keyboard_alone(
    scene: Scene, browser: Browser, moment: str
) -> None:
    with signed_in(browser, scene, "approver") as page:
        page.goto(RESTORE_PAGE)
        tab_to(page, "at")
        page.keyboard.press("Control+a")
        page.keyboard.type(moment)
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=f"The plan: Recover the server of {TARGET} to {moment}").wait_for()
        page.get_by_text("Somebody other than you has to approve it").wait_for()
        picture(page, "recoverability-plan")
        tab_to(page, "start")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(rf"/dags/{RECOVER}/runs/"))
    run = newest_run(scene)
    assert run["conf"] == {"target": TARGET, "point": moment, "mode": "cut over", "repository": "any"}
    assert (run["triggering_user_name"], run["triggered_by"]) == ("approver", "ui")


def test_in_airflows_frame_the_started_run_takes_the_whole_window(
    scene: Scene, browser: Browser, moment: str
) -> None:
    with signed_in(browser, scene, "admin") as page:
        page.goto(f"/plugin/recoverability{RESTORE_PAGE}?at={moment}")
        frame = page.frame_locator("iframe")
        frame.get_by_role("button", name="Start it").click()
        page.wait_for_url(re.compile(rf"/dags/{RECOVER}/runs/"))
        assert page.locator("iframe").count() == 0
    assert newest_run(scene)["triggering_user_name"] == "admin"


def test_a_form_that_is_sent_twice_starts_one_run(scene: Scene, browser: Browser, moment: str) -> None:
    with signed_in(browser, scene, "admin") as page:
        page.goto(f"{RESTORE_PAGE}?at={moment}")
        fields = page.locator("form.start input[type=hidden]").all()
        form = {one.get_attribute("name") or "": one.get_attribute("value") or "" for one in fields}
        answers = [page.request.post(RESTORE_PAGE, form=form, max_redirects=0) for _ in range(2)]
        assert [one.status for one in answers] == [303, 303]
        assert answers[0].headers["location"] == answers[1].headers["location"]
        assert answers[0].headers["location"].endswith(f"/runs/{newest_run(scene)['dag_run_id']}")


def test_whoever_may_only_look_starts_nothing(scene: Scene, browser: Browser, moment: str) -> None:
    before = newest_run(scene)["dag_run_id"]
    with signed_in(browser, scene, "viewer") as page:
        page.goto(f"{RESTORE_PAGE}?at={moment}")
        page.get_by_text("viewer may look at this plan, but not start it").wait_for()
        assert page.get_by_role("button", name="Start it").count() == 0
        picture(page, "recoverability-refused")
    # Whoever sends the form all the same, token and all, is refused.
    with signed_in(browser, scene, "admin") as page:
        page.goto(f"{RESTORE_PAGE}?at={moment}")
        token = page.locator("input[name=token]").get_attribute("value")
    with signed_in(browser, scene, "viewer") as page:
        answer = page.request.post(
            RESTORE_PAGE, form={"token": token or "", "what": "point", "at": moment}, max_redirects=0
        )
        assert answer.status == 403
    assert newest_run(scene)["dag_run_id"] == before


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of that id has the focus, which must be visible."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == name:
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"Tab never comes to {name}")
