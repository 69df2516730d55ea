"""The status page is told by a request to a real server, with a token that appears nowhere else."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.disaster.status_page import NotToldError, StatusPageListener, page_of
from backstop.commands.disaster.telling import Communication
from backstop.commands.disaster.texts import TextSources, message_of
from backstop.credentials import Credential, EnvironmentCredentials
from backstop.errors import ConfigurationError
from tests.telling import FakeIncident, after

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "t0ken-that-nobody-reads"


class Server(ThreadingHTTPServer):
    """Answers as told, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.status = 200
        self.hold: threading.Event | None = None

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
        if self.server.hold is not None:
            self.server.hold.wait()
        self.send_response(self.server.status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        if server.hold is not None:
            server.hold.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def listener(server: Server, *, timeout: float = 20.0, **fields: Any) -> StatusPageListener:
    credential = Credential(
        "status", conn_type="http", host="127.0.0.1", port=server.port, password=TOKEN, **fields
    )
    return StatusPageListener(
        lambda: page_of(credential, path="/api/incidents", timeout=timedelta(seconds=timeout))
    )


def message(moment: str = "start"):
    return message_of(moment, FakeIncident().situation(after(0)), TextSources())


def test_the_page_is_sent_the_public_text_and_the_token(server):
    listener(server, extra={"X-Page": "9", "timeout": 3}).tell(message())

    (asked,) = server.requests
    assert asked["path"] == "/api/incidents"
    assert asked["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert asked["headers"]["X-Page"] == "9"
    assert "timeout" not in asked["headers"]
    assert json.loads(asked["body"])["state"] == "identified"


def test_credentials_of_the_command_line_are_enough(server):
    source = EnvironmentCredentials({"AIRFLOW_CONN_STATUS": f"http://:{TOKEN}@127.0.0.1:{server.port}"})

    StatusPageListener(
        lambda: page_of(source.get("status"), path="hook", timeout=timedelta(seconds=20))
    ).tell(message())

    assert [one["path"] for one in server.requests] == ["/hook"]
    assert server.requests[0]["headers"]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [302, 401, 500])
def test_any_other_answer_than_a_success_means_it_was_not_told_and_the_token_goes_nowhere_else(
    server, status
):
    server.status = status

    with pytest.raises(NotToldError, match=f"answered {status}"):
        listener(server).tell(message())

    assert len(server.requests) == 1


def test_a_page_that_does_not_answer_is_given_up(server):
    server.hold = threading.Event()

    with pytest.raises(TimeoutError):
        listener(server, timeout=0.2).tell(message())


def test_neither_token_nor_address_is_logged_or_journalled(server, caplog):
    caplog.set_level(logging.DEBUG)
    incident = FakeIncident()
    server.status = 500
    page = listener(server)

    failures = Communication([page], TextSources(), clock=lambda: after(0)).tell(incident, "start")

    shown = f"{failures} {incident.telling} {page!r} {caplog.text}"
    assert "answered 500" in shown
    assert TOKEN not in shown
    assert "/api/incidents" not in shown


def test_a_token_with_a_line_break_is_refused_by_name_and_not_shown():
    credential = Credential("status", conn_type="http", host="x", password=f"{TOKEN}\n")

    with pytest.raises(ConfigurationError, match="'status' has a password") as refused:
        page_of(credential, path="", timeout=timedelta(seconds=1))
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": "status.example.com"}, "http://status.example.com"),
        ({"host": "status.example.com", "schema": "https"}, "https://status.example.com"),
        ({"host": "https://status.example.com/v1/", "port": 8443}, "https://status.example.com:8443/v1"),
        ({"host": "status.example.com", "conn_type": "https"}, "https://status.example.com"),
    ],
)
def test_the_address_may_be_written_as_airflows_connections_have_it(fields, address):
    page = page_of(Credential("status", **fields), path="", timeout=timedelta(seconds=1))

    assert page.url.rstrip("/") == address


def test_a_connection_of_another_kind_is_refused():
    with pytest.raises(ConfigurationError, match="type 'postgres'"):
        page_of(Credential("x", conn_type="postgres", host="h"), path="", timeout=timedelta(seconds=1))
