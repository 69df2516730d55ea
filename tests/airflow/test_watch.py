"""A watch in a real Airflow: a planted finding and a failed run reach a webhook once, and their end does."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from embedded.airflow_api import AirflowApi, Run
from embedded.demo import TARGET
from embedded.files import write_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("airflow")]

WATCH = "watch_backups"


class Webhook:
    """What somebody's chat would be told."""

    def __init__(self) -> None:
        received: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._received = received
        self.told: list[dict[str, Any]] = []
        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def of(self, check: str, about: str = "") -> list[dict[str, Any]]:
        """What was told of this check, and of something so named, so far."""
        while not self._received.empty():
            self.told.append(self._received.get())
        return [one for one in self.told if one["check"] == check and about in one["subject"]]

    def wait_for(self, check: str, about: str) -> dict[str, Any]:
        """The first that is told of it from now on."""
        while True:
            one = self._received.get(timeout=120)
            self.told.append(one)
            if one["check"] == check and about in one["subject"]:
                return one


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    thread = threading.Thread(target=webhook.server.serve_forever)
    thread.start()
    yield webhook
    webhook.server.shutdown()
    thread.join()
    webhook.server.server_close()


@pytest.fixture
def admin(running_stack: Stack) -> AirflowApi:
    server = running_stack.airflow()
    return AirflowApi(server.url, sign_in=lambda: server.token("admin"))


@contextmanager
def configured(stack: Stack, webhook: Webhook, admin: AirflowApi) -> Iterator[Any]:
    """Alerts that go to the webhook, and a function that changes how much space must be free."""
    path = stack.home.targets
    former = path.read_text()
    document = yaml.safe_load(former)
    connection = {
        "connection_id": "alerts",
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": webhook.server.server_port,
    }
    admin.send("POST", "/api/v2/connections", connection)
    document["alerts"] = {
        "warning": [
            {
                "notifier": "airflow.providers.http.notifications.http.HttpNotifier",
                "http_conn_id": "alerts",
                "json": {
                    "check": "{{ alert.findings[0].check }}",
                    "subject": "{{ alert.subject }}",
                    "news": "{{ alert.news }}",
                    "url": "{{ alert.url }}",
                },
                "headers": {"Content-Type": "application/json"},
            }
        ],
        "warn_after": "1s",
        "close_after": "1s",
        "fold_above": 100,
    }

    def free_space(share: str) -> None:
        document["targets"][TARGET].setdefault("watch", {})["free_space"] = share
        write_private(path, yaml.safe_dump(document))

    try:
        yield free_space
    finally:
        write_private(path, former)
        admin.send("DELETE", "/api/v2/connections/alerts")


def watch(admin: AirflowApi) -> Run:
    run = admin.trigger(WATCH)
    admin.require_success(run, timeout=300)
    return run


def test_a_planted_finding_and_a_failed_run_are_told_once_and_so_is_their_end(running_stack, admin, webhook):
    admin.wait_for_dag(WATCH)
    with configured(running_stack, webhook, admin) as free_space:
        free_space("100%")
        for _ in range(2):
            watch(admin)
        opened = webhook.of("space")
        assert opened
        assert {one["news"] for one in opened} == {"opened"}
        assert len({one["subject"] for one in opened}) == len(opened)

        # The worker tells by itself: no watch has to come for that.
        failed = admin.trigger("hold_backups", {"target": TARGET, "label": "nonsense", "reason": "x"})
        assert admin.wait(failed) == "failed"
        told = webhook.wait_for("run", about="hold_backups")
        assert told["subject"].startswith(f"[critical] {TARGET}: hold_backups failed in task hold: ")
        assert failed.run_id.split("+")[0].split(":")[0] in told["url"]

        free_space("0.1%")
        for _ in range(2):
            watch(admin)
        ended = [one for one in webhook.of("space") if one["news"] == "ended"]
        assert len(ended) == len(opened)
        assert len(webhook.of("space")) == 2 * len(opened)
        # The DAG processor has had its say on the failed run by now: it is the same piece of news.
        assert len(webhook.of("run", about="hold_backups")) == 1
