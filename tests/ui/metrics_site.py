"""The metrics endpoint without Airflow around it, at a real inventory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI

from backstop.targets.pools import Pools
from backstop.ui.metrics import metrics
from backstop.ui.scrape_tokens import ScrapeTokens
from tests.ui.shown_inventory import ShownInventory
from tests.watched import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection

TOKEN = "a-token-that-only-prometheus-has"


class Named:
    """As much of a configuration as is asked for: which targets there are, and in which pools."""

    def __init__(self, targets: Collection[str]) -> None:
        self.known_targets = targets
        self.targets = {name: SimpleNamespace(name=name, pools=Pools()) for name in targets}


class MetricsSite:
    """``app`` at an inventory; its public attributes may be changed while it runs."""

    def __init__(self, connection: ClusterConnection, tokens: Path) -> None:
        self.inventory = ShownInventory(connection)
        self.connection: ClusterConnection | None = connection
        self.targets: Collection[str] = ["calibrify"]
        self.pools: Mapping[str, int] = {"default_pool": 128}
        self.paused: Collection[str] | None = []
        self.clock: Callable[[], datetime] = lambda: NOW
        tokens.write_text(f"# for the tests\n{TOKEN}\n")
        tokens.chmod(0o600)
        self.app = FastAPI()
        self.app.include_router(
            metrics(
                inventory=lambda: self.connection,
                configuration=lambda: cast("Any", Named(self.targets)),
                clock=lambda: self.clock(),
                pools=lambda: self.pools,
                paused=lambda: list(cast("Any", self.paused)),
                tokens=ScrapeTokens(tokens),
            ),
            prefix="/backstop",
        )
