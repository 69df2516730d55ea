"""The metrics endpoint without Airflow around it, at a real inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI

from backstop.ui.metrics import metrics
from backstop.ui.scrape_tokens import ScrapeTokens
from tests.ui.shown_inventory import ShownInventory
from tests.watched import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection

TOKEN = "a-token-that-only-prometheus-has"


class Named:
    """As much of a configuration as is asked for: which targets there are."""

    def __init__(self, targets: Collection[str]) -> None:
        self.targets = self.known_targets = targets


class MetricsSite:
    """``app`` at an inventory; ``connection``, ``targets`` and ``clock`` may be changed while it runs."""

    def __init__(self, connection: ClusterConnection, tokens: Path) -> None:
        self.inventory = ShownInventory(connection)
        self.connection: ClusterConnection | None = connection
        self.targets: Collection[str] = ["calibrify"]
        self.clock: Callable[[], datetime] = lambda: NOW
        tokens.write_text(f"# for the tests\n{TOKEN}\n")
        tokens.chmod(0o600)
        self.app = FastAPI()
        self.app.include_router(
            metrics(
                inventory=lambda: self.connection,
                configuration=lambda: cast("Any", Named(self.targets)),
                clock=lambda: self.clock(),
                tokens=ScrapeTokens(tokens),
            ),
            prefix="/backstop",
        )
