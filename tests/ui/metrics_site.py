"""The metrics endpoint without Airflow around it, at a real inventory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI

from backstop.repository.findings import Findings
from backstop.repository.inventory import Inventory
from backstop.repository.observations import Observations
from backstop.ui.metrics import metrics
from backstop.ui.scrape_tokens import ScrapeTokens
from tests.watched import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime
    from pathlib import Path

    from backstop.model.finding import Finding
    from backstop.model.observation import Observation
    from backstop.postgres.connection import ClusterConnection

TOKEN = "a-token-that-only-prometheus-has"


class Named:
    """As much of a configuration as is asked for: which targets there are."""

    def __init__(self, targets: Collection[str]) -> None:
        self.targets = targets


class MetricsSite:
    """``app`` at an inventory; ``connection``, ``targets`` and ``clock`` may be changed while it runs."""

    def __init__(self, connection: ClusterConnection, tokens: Path) -> None:
        Inventory(connection).migrate()
        self.inventory = connection
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

    def reappear(self) -> None:
        """It is where it was."""
        self.connection = self.inventory

    def disappear(self) -> None:
        """The inventory is where nothing listens."""
        self.connection = replace(self.inventory, host="127.0.0.1", port=9)

    def show(self, observations: Iterable[Observation], findings: Iterable[Finding] = ()) -> None:
        """Let these be all that is known."""
        with self.inventory.connect() as session:
            session.execute("TRUNCATE public.backup_observation, public.backup_finding")
        for one in findings:
            Findings(self.inventory).report(one, now=self.clock())
        Observations(self.inventory).store(observations)
