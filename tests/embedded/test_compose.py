"""docker-compose.yaml, as far as it can be judged without Docker."""

from __future__ import annotations

import json
import os
import runpy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from embedded.home import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    script = runpy.run_path(str(CHECKOUT / "include/compose/make_secrets.py"))
    script["main"].__globals__["HERE"] = tmp_path / "secrets"
    mask = os.umask(0o022)
    try:
        script["main"]()
        script["main"]()  # a second run keeps what is there
    finally:
        os.umask(mask)  # the script is a process of its own, and sets it
    return tmp_path / "secrets"


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")

    assert tag not in ("", "latest")


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "airflow-init"])
def test_every_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_environment_holds_a_secret(secrets: Path) -> None:
    environments = json.dumps([service.get("environment") for service in SERVICES.values()])

    for path in secrets.rglob("*"):
        if path.is_file():
            assert path.read_text() not in environments
    assert "PASSWORD:" not in environments.replace("_FILE", "")


def test_every_mounted_secret_is_made_and_closed_to_others(secrets: Path) -> None:
    for secret in COMPOSE["secrets"].values():
        assert (secrets.parent / secret["file"]).is_file()
    assert secrets.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (secrets / "airflow").iterdir())


def test_its_targets_are_valid_and_every_connection_they_name_is_made(secrets: Path) -> None:
    from backstop.credentials import FileCredentials
    from backstop.targets import load_targets

    targets = load_targets(CHECKOUT / "include/compose/targets.yaml")
    credentials = FileCredentials(secrets / "airflow" / "connections.json")

    database = targets.targets["calibrify"].database
    for conn_id in (database.conn_id, database.restore_conn_id, "backstop_s3", "backstop_inventory"):
        assert conn_id is not None
        assert credentials.get(conn_id).password
