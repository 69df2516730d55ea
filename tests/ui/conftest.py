"""The application as Airflow mounts it, with an inventory of three targets and people we invent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

import tests.airflow_home  # noqa: F401 before Airflow is imported
from backstop.targets import load_targets
from backstop.ui.app import create_app
from backstop.ui.form_token import FormTokens
from backstop.ui.headers import SecurityHeaders
from backstop.ui.inventory import InventoryConnection
from backstop.ui.mount import PREFIX, MountedApp
from tests.fleet import make_fleet
from tests.fleet_targets import targets_yaml
from tests.ui.people import Doors, Person
from tests.ui.restorable import restorable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration
    from embedded.postgres import EmbeddedPostgres

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
TARGETS = ("calibrify", "system-001", "system-002")


@dataclass
class Site:
    """What a test talks to: Airflow's place is taken by an application that notes what it is asked."""

    app: FastAPI
    doors: Doors
    client: TestClient
    asked: list[dict[str, Any]] = field(default_factory=list)
    runs: list[tuple[str, str]] = field(default_factory=list)
    answer: tuple[int, dict[str, Any]] = (200, {})

    def as_(self, name: str, **rights: Any) -> dict[str, str]:
        """Headers of somebody with these rights."""
        self.doors.people[name] = Person(name, **rights)
        return {"authorization": f"Bearer {name}"}


@pytest.fixture(scope="session")
def known_inventory(postgres18: EmbeddedPostgres) -> ClusterConnection:
    """Read by every test here, changed by none."""
    return make_fleet(postgres18, "ui_inventory", targets=len(TARGETS), days=40, now=NOW)


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    path: Path = tmp_path_factory.mktemp("targets") / "targets.yaml"
    path.write_text(restorable(targets_yaml(TARGETS)))
    return load_targets(path)


@pytest.fixture
def open_site(configuration: Configuration) -> Iterator[Callable[..., Site]]:
    """Makes a site; ``inventory`` may be any that a test wants."""
    clients: list[TestClient] = []

    def make(inventory: Callable[[], ClusterConnection | None]) -> Site:
        doors = Doors()
        app = create_app(
            gate=doors,
            tokens=FormTokens(lambda: "a secret of Airflow's"),
            inventory=inventory,
            configuration=lambda: configuration,
            clock=lambda: NOW,
        )
        airflow = FastAPI()
        airflow.mount(PREFIX, MountedApp(lambda: SecurityHeaders(app)))
        client = TestClient(airflow, follow_redirects=False, raise_server_exceptions=False)
        clients.append(client)
        site = Site(app, doors, client)

        @airflow.post("/api/v2/dags/{dag_id}/dagRuns")
        async def trigger(request: Request, dag_id: str) -> Any:
            from fastapi.responses import JSONResponse

            sent = await request.json()
            run_id = sent.pop("dag_run_id")
            if (dag_id, run_id) in site.runs:
                return JSONResponse({"detail": {"reason": "Unique constraint violation"}}, status_code=409)
            site.asked.append(
                {
                    "dag_id": dag_id,
                    "by": request.headers["authorization"],
                    "referer": request.headers.get("referer"),
                    **sent,
                }
            )
            if site.answer[0] == 200:
                site.runs.append((dag_id, run_id))
            return JSONResponse(site.answer[1], status_code=site.answer[0])

        return site

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def site(open_site: Callable[..., Site], known_inventory: ClusterConnection) -> Site:
    """With the inventory of three targets."""
    connection = InventoryConnection.to(known_inventory)
    return open_site(lambda: connection)
