"""Airflow's own auth manager at the door: cookies, bearer tokens, permissions by DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backstop.ui.app import create_app
from backstop.ui.auth import AirflowGate
from backstop.ui.form_token import FormTokens
from backstop.ui.headers import SecurityHeaders
from backstop.ui.inventory import InventoryConnection
from tests.ui.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration

pytestmark = pytest.mark.integration

_GUESTS = ("watch_backups", "__calibrify", "__system-002")


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The simple auth manager, but that ``guest`` may read some DAGs alone, as FAB has it, and start none."""
    from airflow.api_fastapi import app as airflow_app
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.models.revoked_token import RevokedToken

    class ByDag(SimpleAuthManager):
        def is_authorized_dag(
            self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
        ) -> bool:
            # FAB's manager: whoever may read one DAG may list DAGs.
            if user.username == "guest" and details is not None and not details.id.endswith(_GUESTS):
                return False
            return super().is_authorized_dag(
                method=method, user=user, access_entity=access_entity, details=details
            )

    found = ByDag()
    monkeypatch.setattr(airflow_app._AuthManagerState, "instance", found)
    # The metadata database of these tests has no tables.
    monkeypatch.setattr(RevokedToken, "is_revoked", lambda _jti: False)
    return found


@pytest.fixture
def client(
    manager: Any, known_inventory: ClusterConnection, configuration: Configuration
) -> Iterator[TestClient]:
    from airflow.api_fastapi.auth.middlewares.refresh_token import JWTRefreshMiddleware

    connection = InventoryConnection.to(known_inventory)
    app = create_app(
        gate=AirflowGate(),
        tokens=FormTokens(lambda: "secret"),
        inventory=lambda: connection,
        configuration=lambda: configuration,
        clock=lambda: NOW,
    )
    airflow = FastAPI()
    airflow.add_middleware(JWTRefreshMiddleware)
    airflow.mount("/backstop", SecurityHeaders(app))
    with TestClient(airflow, follow_redirects=False) as client:
        yield client


def token(manager: Any, name: str, role: str = "VIEWER") -> str:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return str(manager.generate_jwt(SimpleAuthManagerUser(username=name, role=role)))


def test_airflows_cookie_opens_the_page(client: TestClient, manager: Any) -> None:
    client.cookies.set("_token", token(manager, "ada"))

    assert client.get("/backstop/").status_code == 200


def test_a_bearer_token_opens_it_too(client: TestClient, manager: Any) -> None:
    answer = client.get("/backstop/", headers={"authorization": f"Bearer {token(manager, 'ada')}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("cookie", ["", "rubbish", "forged", "expired"])
def test_no_other_cookie_does(client: TestClient, manager: Any, cookie: str) -> None:
    if cookie == "forged":
        head, body, _signature = token(manager, "ada").split(".")
        cookie = f"{head}.{body}.{'A' * 86}"
    elif cookie == "expired":
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        cookie = manager.generate_jwt(
            SimpleAuthManagerUser(username="ada", role="VIEWER"), expiration_time_in_seconds=-60
        )
    client.cookies.set("_token", cookie)

    assert client.get("/backstop/").status_code == 303


def test_permissions_by_dag_decide_which_targets_there_are(client: TestClient, manager: Any) -> None:
    client.cookies.set("_token", token(manager, "guest"))

    overview = client.get("/backstop/").text
    assert "calibrify" in overview
    assert "system-002" in overview
    assert "system-001" not in overview
    assert client.get("/backstop/targets/system-001").status_code == 404


@pytest.mark.parametrize(("role", "button"), [("VIEWER", False), ("USER", True)])
def test_the_permission_to_trigger_decides_whether_there_is_a_button(
    client: TestClient, manager: Any, role: str, button: bool
) -> None:
    client.cookies.set("_token", token(manager, "ada", role))

    page = client.get("/backstop/targets/calibrify/restore?at=latest").text
    assert ('method="post"' in page) is button


@pytest.mark.parametrize(("name", "every"), [("ada", True), ("guest", False)])
def test_airflow_says_who_may_read_every_dag(manager: Any, name: str, every: bool) -> None:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    assert AirflowGate().reads_every_dag(SimpleAuthManagerUser(username=name, role="VIEWER")) is every
