"""The pages at an address, for a browser; without Airflow around them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI

from backstop.ui.app import create_app
from backstop.ui.form_token import FormTokens
from backstop.ui.headers import SecurityHeaders
from backstop.ui.inventory import InventoryConnection
from backstop.ui.mount import PREFIX
from tests.ui.people import Doors, Person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration


@contextmanager
def served(inventory: ClusterConnection, configuration: Configuration, *, now: datetime) -> Iterator[str]:
    """The address of the overview, for somebody who may do everything."""
    connection = InventoryConnection.to(inventory)
    app = create_app(
        gate=Doors(everybody=Person("ada")),
        tokens=FormTokens(lambda: "secret"),
        inventory=lambda: connection,
        configuration=lambda: configuration,
        clock=lambda: now,
    )
    around = FastAPI()
    around.mount(PREFIX, SecurityHeaders(app))
    with running(around) as address:
        yield f"{address}{PREFIX}/"


@contextmanager
def running(app: Any) -> Iterator[str]:
    """The address of an application, while it answers."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
