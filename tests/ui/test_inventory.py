"""How pages reach the inventory."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from backstop.credentials import Credential
from backstop.errors import SourceUnavailableError
from backstop.postgres.connection import ClusterConnection
from backstop.ui.inventory import REMEMBERED_SECONDS, InventoryConnection, InventoryOfServer, LentSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.targets import Configuration
    from tests.ui.conftest import Site

pytestmark = pytest.mark.integration


def backend(connection: ClusterConnection, **options: bool) -> int:
    with connection.connect(**options) as session:
        row = session.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def test_a_session_is_used_again(known_inventory: ClusterConnection) -> None:
    connection = InventoryConnection.to(known_inventory)

    assert backend(connection) == backend(connection) == backend(connection, autocommit=False)


def test_two_pages_at_once_have_a_session_each(known_inventory: ClusterConnection) -> None:
    connection = InventoryConnection.to(known_inventory)
    with connection.connect() as one, connection.connect() as other:
        assert one is not other


def test_a_session_that_the_server_has_ended_is_replaced(
    known_inventory: ClusterConnection,
) -> None:
    connection = InventoryConnection.to(known_inventory)
    former = backend(connection)
    with known_inventory.connect() as session:
        session.execute("SELECT pg_terminate_backend(%s, 5000)", [former])

    assert backend(connection) != former


def test_what_a_page_left_behind_in_a_transaction_does_not_reach_the_next(
    known_inventory: ClusterConnection,
) -> None:
    connection = InventoryConnection.to(known_inventory)
    session = connection.connect(autocommit=False)
    session.execute("CREATE TEMPORARY TABLE left_over ()")
    session.close()
    with connection.connect() as session:
        row = session.execute("SELECT to_regclass('left_over')").fetchone()

    assert row == (None,)


@pytest.fixture
def silent_server() -> Iterator[ClusterConnection]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield ClusterConnection("127.0.0.1", server.getsockname()[1], "inventory", "inventory", "hunter2")


@pytest.mark.timeout(30)
def test_an_inventory_that_does_not_answer_is_a_page_that_says_so(
    open_site: Callable[..., Site], silent_server: ClusterConnection
) -> None:
    connection = InventoryConnection.to(silent_server)
    site = open_site(lambda: connection)
    answer = site.client.get("/backstop/", headers=site.as_("ada"))

    assert answer.status_code == 503
    assert f"127.0.0.1:{silent_server.port}/inventory" in answer.text
    assert "check that the server is up" in answer.text
    assert "hunter2" not in answer.text


@pytest.mark.timeout(30)
def test_its_patience_is_two_seconds(
    silent_server: ClusterConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    connection = InventoryConnection.to(silent_server)
    opened = InventoryConnection.open_session

    def note(self: InventoryConnection, parameters: dict[str, str]) -> object:
        asked.append(parameters["connect_timeout"])
        return opened(self, parameters)

    monkeypatch.setattr(InventoryConnection, "open_session", note)
    with pytest.raises(SourceUnavailableError):
        connection.connect()

    assert asked == ["2"]


class Counting:
    """Connections that can change."""

    def __init__(self) -> None:
        self.asked = 0
        self.password = "one"

    def get(self, conn_id: str) -> Credential:
        self.asked += 1
        return Credential(
            conn_id, "postgres", host="db", port=5432, login="inventory", password=self.password, schema="inv"
        )


def test_airflow_is_not_asked_for_the_connection_at_every_page(configuration: Configuration) -> None:
    credentials, now = Counting(), [0.0]
    inventory = InventoryOfServer(lambda: configuration, credentials, monotonic=lambda: now[0])

    assert inventory() is inventory()
    assert credentials.asked == 1


def test_a_changed_connection_counts_after_a_while(configuration: Configuration) -> None:
    credentials, now = Counting(), [0.0]
    inventory = InventoryOfServer(lambda: configuration, credentials, monotonic=lambda: now[0])
    former = inventory()
    credentials.password, now[0] = "two", REMEMBERED_SECONDS + 1.0
    found = inventory()

    assert former is not None
    assert found is not None
    assert (former.password, found.password) == ("one", "two")


@pytest.fixture
def hung_backends(known_inventory: ClusterConnection) -> Iterator[Callable[[int], None]]:
    """Stops backends as a disk that hangs would: the connection stays, and nothing is said."""
    stopped: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    yield stop
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(60)
def test_a_kept_session_that_hangs_is_given_up_and_the_page_comes_over_another(
    open_site: Callable[..., Site], known_inventory: ClusterConnection, hung_backends: Callable[[int], None]
) -> None:
    connection = InventoryConnection.to(known_inventory)
    site = open_site(lambda: connection)
    hung_backends(backend(connection))
    began = time.monotonic()
    answer = site.client.get("/backstop/", headers=site.as_("ada"))

    assert answer.status_code == 200
    assert time.monotonic() - began < 10


@pytest.mark.timeout(60)
def test_an_inventory_that_hangs_in_the_middle_of_a_page_is_a_page_that_says_so(
    open_site: Callable[..., Site],
    known_inventory: ClusterConnection,
    hung_backends: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LentSession, "patience_seconds", 1.0)
    monkeypatch.setattr("backstop.ui.inventory.SILENT_SECONDS", 1.0)
    connection = InventoryConnection.to(known_inventory)

    def hang(session: Any, **_: Any) -> Any:
        hung_backends(session.info.backend_pid)
        return session.execute("SELECT 1")

    monkeypatch.setattr("backstop.ui.pages.read_overview", hang)
    site = open_site(lambda: connection)
    answer = site.client.get("/backstop/", headers=site.as_("ada"))

    assert answer.status_code == 503
    assert "it has said nothing for 1 s" in answer.text
