"""docker-compose.yaml brought up from nothing, once with each executor."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.compose.deployment import Deployment, engine_obstacle

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["celery", "local"])
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Up and healthy, with the sample and Prometheus; gone afterwards with all that it held."""
    obstacle = engine_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    root = Path(tempfile.mkdtemp(prefix="backstop-compose-"))
    made = Deployment(root, request.param)
    try:
        made.prepare()
        made.compose("--profile", "*", "build", timeout=3600)
        took = made.up("demo", "monitoring")
        print(f"\n{request.param}: up from nothing and healthy after {took:.0f} s")
        yield made
    finally:
        made.destroy()
        shutil.rmtree(root, ignore_errors=True)
