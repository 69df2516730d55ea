"""A disaster in a real Airflow: a file tree is gone, two people bring it back, those who wait are told."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from embedded.demo import TARGET
from embedded.files import write_private
from embedded.files_demo import MEDIA, contents
from tests.airflow.browsing import picture, signed_in
from tests.chromium import needs_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from embedded.airflow_api import Run
    from embedded.story import FilesStory
    from tests.airflow.conftest import Scene

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]

DISASTER = "recover_from_disaster"
TOKEN = "page-token-nobody-reads"
WHAT = "somebody removed the media folder"
GOES_ON = "Service disruption: the restore goes on"


@dataclass
class Waiting:
    """Those who wait: a status page, and a chat that a notifier tells.

    Whoever reads ``/goes-on`` is answered once the page has been told how it goes on.
    """

    page: list[dict[str, Any]] = field(default_factory=list)
    chat: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    goes_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        waiting = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.startswith("/page"):
                    waiting.tokens.add(str(self.headers.get("Authorization")))
                    waiting.page.append(body)
                    if body["title"] == GOES_ON:
                        waiting.goes_on.set()
                else:
                    waiting.chat.append(body)
                self.answer(200)

            def do_GET(self) -> None:
                self.answer(200 if waiting.goes_on.wait(timeout=300) else 504)

            def answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def until_it_goes_on(self) -> list[str]:
        """A command that ends well when the page has been told so."""
        read = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=310)"
        return [sys.executable, "-c", read, f"http://127.0.0.1:{self.server.server_port}/goes-on"]


@pytest.fixture(scope="module")
def waiting() -> Iterator[Waiting]:
    waiting = Waiting()
    thread = threading.Thread(target=waiting.server.serve_forever)
    thread.start()
    yield waiting
    waiting.goes_on.set()
    waiting.server.shutdown()
    thread.join()
    waiting.server.server_close()


@contextmanager
def told(scene: Scene, waiting: Waiting) -> Iterator[None]:
    """targets.yaml with a page and a chat; nothing is recovered before they were told how it goes on."""
    path = scene.stack.home.targets
    former = path.read_text()
    document = yaml.safe_load(former)
    address = {"conn_type": "http", "host": "127.0.0.1", "port": waiting.server.server_port}
    for name, more in (("page", {"password": TOKEN}), ("chat", {})):
        scene.admin.send("POST", "/api/v2/connections", {"connection_id": name, **address, **more})
    notifier = "airflow.providers.http.notifications.http.HttpNotifier"
    document["targets"][TARGET]["disaster"].update(
        status_page={"conn_id": "page", "path": "/page"},
        stakeholders=[
            {
                "notifier": notifier,
                "http_conn_id": "chat",
                "endpoint": "chat",
                "json": {"subject": "{{ alert.subject }}", "message": "{{ alert.message }}"},
                "headers": {"Content-Type": "application/json"},
            }
        ],
        progress_every="15s",
        infrastructure={"check": [waiting.until_it_goes_on()]},
    )
    write_private(path, yaml.safe_dump(document))
    try:
        yield
    finally:
        write_private(path, former)
        for name in ("page", "chat"):
            scene.admin.send("DELETE", f"/api/v2/connections/{name}")


@dataclass
class Aftermath:
    """What came of it: cancelled first, then asked again in the same run, and approved."""

    before: dict[str, Any]
    form: dict[str, Any]
    cancelled: dict[str, Any]
    run: Run


@contextmanager
def put_back(folder: Path, aside: Path) -> Iterator[None]:
    """Whatever comes of the recovery, the files are there again: other tests back them up and lose them."""
    shutil.copytree(folder, aside / folder.name, symlinks=True)
    try:
        yield
    finally:
        if not folder.exists():
            shutil.copytree(aside / folder.name, folder, symlinks=True)


@pytest.fixture(scope="module")
def aftermath(
    scene: Scene, files_story: FilesStory, waiting: Waiting, tmp_path_factory: pytest.TempPathFactory
) -> Aftermath:
    admin, approver, media = scene.admin, scene.approver, scene.stack.home.media
    assert files_story.backups[MEDIA]
    admin.wait_for_dag(DISASTER)
    before = contents(media)
    with told(scene, waiting), put_back(media, tmp_path_factory.mktemp("media")):
        shutil.rmtree(media)
        run = admin.trigger(DISASTER, {"target": TARGET, "what": WHAT})
        form = approver.question(run, "approve")
        approver.answer(run, "approve", "Cancel", answer_of(form))
        cancelled = {
            "state": admin.wait(run),
            "failures": admin.failures(run),
            "media": media.exists(),
            "told": [*waiting.page, *waiting.chat],
        }
        admin.clear(run, "approve")
        approver.question(run, "approve")
        approver.answer(run, "approve", "Recover", answer_of(form))
        admin.require_success(run)
    return Aftermath(before, form, cancelled, run)


def answer_of(form: dict[str, Any]) -> dict[str, str]:
    """The form as it is filled in beforehand."""
    return {"option": form["params"]["option"]["value"]}


def test_a_cancelled_recovery_touches_nothing_tells_nobody_and_leaves_the_incident_open(
    aftermath: Aftermath,
) -> None:
    cancelled = aftermath.cancelled
    assert (cancelled["state"], cancelled["media"], cancelled["told"]) == ("failed", False, [])
    failures = cancelled["failures"]
    assert any("approver cancelled the recovery; nothing was touched" in one for one in failures)
    assert any("stays open" in one for one in failures)


def test_the_form_shows_what_is_lost_and_the_options(aftermath: Aftermath) -> None:
    body = aftermath.form["body"]

    assert "files (media) | **gone**" in body
    assert "| Option | Brings back | As of | Loses |" in body
    assert "**Recommended:**" in body
    assert "**admin** cannot answer it" in body


def test_everything_is_back_in_its_place(aftermath: Aftermath, scene: Scene) -> None:
    assert contents(scene.stack.home.media) == aftermath.before


def test_those_who_wait_were_told_of_start_progress_and_end_each_once(
    aftermath: Aftermath, waiting: Waiting
) -> None:
    assert aftermath.run
    assert waiting.page[-1]["state"] == "resolved"
    titles = [one["title"] for one in waiting.page]
    for title in ("Service disruption: we are restoring from a backup", "Service restored"):
        assert titles.count(title) == 1
    assert GOES_ON in titles
    begins = [one["subject"] for one in waiting.chat if "recovery begins" in one["subject"]]
    assert begins == [f"[{TARGET}] recovery begins: {WHAT}"]
    assert len([one for one in waiting.chat if "recovered and validated" in one["message"]]) == 1


def test_the_page_knows_the_token_and_neither_names_nor_paths(
    aftermath: Aftermath, waiting: Waiting, scene: Scene
) -> None:
    assert waiting.tokens == {f"Bearer {TOKEN}"}
    for one in waiting.page:
        assert not [word for word in (TARGET, "media", str(scene.stack.home.root)) if word in json.dumps(one)]
    for task in scene.admin.tasks(aftermath.run):
        assert TOKEN not in json.dumps(scene.admin.log(aftermath.run, task))


def test_the_incident_is_closed_with_the_time_that_people_took_apart(
    aftermath: Aftermath, scene: Scene
) -> None:
    outcome = scene.admin.result(aftermath.run, "record")
    assert outcome["outcome"] == "everything is back"
    assert "waiting for people" in scene.admin.get(aftermath.run.path)["note"]


@needs_chromium
@pytest.mark.browser
@pytest.mark.long
def test_somebody_elses_run_goes_on_with_an_open_incident_and_is_approved_in_a_browser(
    scene: Scene, files_story: FilesStory, browser: Browser
) -> None:
    admin, approver, media = scene.admin, scene.approver, scene.stack.home.media
    assert files_story.backups[MEDIA]
    admin.wait_for_dag(DISASTER)
    before = contents(media)
    shutil.rmtree(media)
    first = admin.trigger(DISASTER, {"target": TARGET, "what": WHAT})
    form = approver.question(first, "approve")
    approver.answer(first, "approve", "Cancel", answer_of(form))
    assert admin.wait(first) == "failed"

    incident = admin.result(first, "declare")["incident_id"]
    run = admin.trigger(DISASTER, {"target": TARGET, "what": WHAT, "incident": incident})
    approver.question(run, "approve")
    approve_in(browser, scene, run)
    admin.require_success(run)

    assert admin.result(run, "record") == {"incident_id": incident, "outcome": "everything is back"}
    assert contents(media) == before


def approve_in(browser: Browser, scene: Scene, run: Run) -> None:
    """As people do: the form is read, the recommended way stands in it, and one button is pressed."""
    with signed_in(browser, scene, "approver") as page:
        page.goto(f"/dags/{DISASTER}/runs/{run.run_id}/tasks/approve/required_actions")
        page.get_by_text(f"Recover {TARGET}: which way?").first.wait_for()
        page.get_by_text("admin cannot answer it").wait_for()
        page.get_by_text("files (media)").first.wait_for()
        picture(page, "disaster-form")
        page.get_by_role("button", name="Recover", exact=True).click()
        scene.admin.wait(run)
        page.goto(f"/dags/{DISASTER}/runs/{run.run_id}")
        page.get_by_label("Graph").first.click()
        page.locator(".react-flow").get_by_text("infrastructure").first.wait_for()
        picture(page, "disaster-graph")
