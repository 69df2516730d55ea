"""A disaster in a real Airflow: a file tree is gone, two people bring it back, those who wait are told."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from embedded.airflow_api import AirflowApi
from embedded.demo import TARGET
from embedded.files import write_private
from embedded.files_demo import MEDIA, back_up_dag, contents
from tests.airflow.browsing import picture, signed_in
from tests.chromium import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from embedded.airflow_api import Run
    from embedded.stack import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200), pytest.mark.xdist_group("airflow")]

DISASTER = "recover_from_disaster"
TOKEN = "page-token-nobody-reads"
WHAT = "somebody removed the media folder"


@dataclass
class Waiting:
    """Those who wait: a status page, and a chat that a notifier tells."""

    page: list[dict[str, Any]] = field(default_factory=list)
    chat: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        waiting = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.startswith("/page"):
                    waiting.tokens.add(str(self.headers.get("Authorization")))
                    waiting.page.append(body)
                else:
                    waiting.chat.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def waiting() -> Iterator[Waiting]:
    waiting = Waiting()
    thread = threading.Thread(target=waiting.server.serve_forever)
    thread.start()
    yield waiting
    waiting.server.shutdown()
    thread.join()
    waiting.server.server_close()


@dataclass
class Office:
    """The stack and the two people who use it."""

    stack: Stack
    admin: AirflowApi
    approver: AirflowApi


@pytest.fixture(scope="module")
def scene(running_stack: Stack) -> Office:
    server = running_stack.airflow()
    admin, approver = (
        AirflowApi(server.url, sign_in=lambda name=name: server.token(name)) for name in ("admin", "approver")
    )
    return Office(running_stack, admin, approver)


@contextmanager
def told(scene: Office, waiting: Waiting) -> Iterator[None]:
    """targets.yaml with a page and a chat, and somebody who cannot be told at all."""
    path = scene.stack.home.targets
    former = path.read_text()
    document = yaml.safe_load(former)
    address = {"conn_type": "http", "host": "127.0.0.1", "port": waiting.server.server_port}
    for name, more in (("page", {"password": TOKEN}), ("chat", {})):
        scene.admin.send("POST", "/api/v2/connections", {"connection_id": name, **address, **more})
    notifier = "airflow.providers.http.notifications.http.HttpNotifier"
    document["targets"][TARGET]["disaster"] = {
        "status_page": {"conn_id": "page", "path": "/page"},
        "stakeholders": [
            {
                "notifier": notifier,
                "http_conn_id": "chat",
                "endpoint": "chat",
                "json": {"subject": "{{ alert.subject }}", "message": "{{ alert.message }}"},
                "headers": {"Content-Type": "application/json"},
            }
        ],
        "progress_every": "1m",
        "infrastructure": {"check": [["true"]]},
        "validation": {
            "functionality": [
                {"name": "the folder is there", "command": ["test", "-d", str(scene.stack.home.media)]}
            ]
        },
    }
    write_private(path, yaml.safe_dump(document))
    try:
        yield
    finally:
        write_private(path, former)
        for name in ("page", "chat"):
            scene.admin.send("DELETE", f"/api/v2/connections/{name}")


@dataclass
class Aftermath:
    """What came of it."""

    before: dict[str, Any]
    form: dict[str, Any]
    refused: Run
    after_refusal: bool
    recovered: Run


@pytest.fixture(scope="module")
def aftermath(scene: Office, waiting: Waiting, request: pytest.FixtureRequest) -> Iterator[Aftermath]:
    admin, approver, media = scene.admin, scene.approver, scene.stack.home.media
    for dag_id in (DISASTER, back_up_dag(MEDIA)):
        admin.wait_for_dag(dag_id)
    (media / "certificate-0001.txt").write_text("calibrated")
    admin.require_success(admin.trigger(back_up_dag(MEDIA)))
    with told(scene, waiting):
        before = contents(media)
        shutil.rmtree(media)
        refused = admin.trigger(DISASTER, {"target": TARGET, "what": WHAT})
        form = admin.question(refused, "approve")
        approver.answer(refused, "approve", "Cancel", answer_of(form))
        assert admin.wait(refused) == "failed"
        after_refusal = media.exists()
        # The incident is still open: somebody else's run goes on with it.
        incident = admin.result(refused, "declare")["incident_id"]
        recovered = admin.trigger(DISASTER, {"target": TARGET, "what": WHAT, "incident": incident})
        approver.question(recovered, "approve")
        if CHROMIUM is None:
            approver.answer(recovered, "approve", "Recover", answer_of(form))
        else:
            fill_in(request.getfixturevalue("browser"), scene, recovered)
        admin.require_success(recovered)
        yield Aftermath(before, form, refused, after_refusal, recovered)


def fill_in(browser: Browser, scene: Office, run: Run) -> None:
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


def answer_of(form: dict[str, Any]) -> dict[str, str]:
    """The form as it is filled in beforehand."""
    return {"option": form["params"]["option"]["value"]}


def test_a_cancelled_recovery_touches_nothing_tells_nobody_and_leaves_the_incident_open(aftermath, scene):
    assert aftermath.after_refusal is False
    failures = scene.admin.failures(aftermath.refused)
    assert any("approver cancelled the recovery; nothing was touched" in one for one in failures)
    assert any("stays open" in one for one in failures)


def test_the_form_shows_what_is_lost_and_the_options(aftermath):
    body = aftermath.form["body"]

    assert "files (media) | **gone**" in body
    assert "| Option | Brings back | As of | Loses |" in body
    assert "**Recommended:**" in body


def test_everything_is_back_in_its_place(aftermath, scene):
    assert contents(scene.stack.home.media) == aftermath.before


def test_those_who_wait_were_told_of_start_progress_and_end_each_once(aftermath, waiting):
    assert [one["state"] for one in waiting.page][-1] == "resolved"
    titles = [one["title"] for one in waiting.page]
    for title in ("Service disruption: we are restoring from a backup", "Service restored"):
        assert titles.count(title) == 1
    assert "Service disruption: the restore goes on" in titles
    assert [one["subject"] for one in waiting.chat if "recovery begins" in one["subject"]] == [
        f"[{TARGET}] recovery begins: {WHAT}"
    ]
    assert any("recovered and validated" in one["message"] for one in waiting.chat)


def test_the_page_knows_the_token_and_neither_names_nor_paths(aftermath, waiting, scene):
    assert waiting.tokens == {f"Bearer {TOKEN}"}
    for one in waiting.page:
        assert not [word for word in (TARGET, "media", str(scene.stack.home.root)) if word in json.dumps(one)]
    for task in scene.admin.tasks(aftermath.recovered):
        assert TOKEN not in json.dumps(scene.admin.log(aftermath.recovered, task))


def test_the_incident_is_closed_with_the_time_that_people_took_apart(aftermath, scene):
    outcome = scene.admin.result(aftermath.recovered, "record")
    assert outcome["outcome"] == "recovered"
    note = scene.admin.get(aftermath.recovered.path)["note"]
    assert "waiting for people" in note
