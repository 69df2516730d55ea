"""``/backstop/metrics``: what the newest watch saw, for Prometheus, to whoever has a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Response

from backstop import __version__
from backstop.commands.metrics.kept_text import KeptText
from backstop.commands.metrics.reading import Reader
from backstop.errors import BackstopError, ConfigurationError
from backstop.ui.scrape_tokens import ScrapeTokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration


def metrics(
    *,
    inventory: Callable[[], ClusterConnection | None],
    configuration: Callable[[], Configuration],
    clock: Callable[[], datetime],
    tokens: ScrapeTokens | None = None,
) -> APIRouter:
    """The route. It has a lock of its own: Prometheus cannot renew a login of Airflow's.

    :param inventory: its connection; None: targets.yaml names none.
    :param configuration: targets.yaml as it is now.
    :param tokens: by default those in the file that ``BACKSTOP_METRICS_TOKEN_FILE`` names.
    """
    router = APIRouter()
    shown = _Shown(inventory, configuration, clock)
    lock = tokens or ScrapeTokens.of_environment()

    # Not async: it waits for a database, and FastAPI runs it in a thread.
    @router.get("/metrics", include_in_schema=False)
    def scrape(
        authorization: Annotated[str, Header()] = "", accept: Annotated[str, Header()] = ""
    ) -> Response:
        refused = lock.refusal(authorization)
        if refused is not None:
            return refused
        try:
            text, content_type = shown.text(accept)
        except BackstopError as error:
            return _unavailable(error)
        return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return router


class _Shown:
    """Remembers from scrape to scrape what has not changed."""

    def __init__(
        self,
        inventory: Callable[[], ClusterConnection | None],
        configuration: Callable[[], Configuration],
        clock: Callable[[], datetime],
    ) -> None:
        self._inventory = inventory
        self._configuration = configuration
        self._clock = clock
        self._reader = Reader()
        self._written = KeptText(__version__)

    def text(self, accept: str) -> tuple[bytes, str]:
        connection = self._inventory()
        if connection is None:
            raise ConfigurationError(
                "targets.yaml names no inventory, and metrics are read from there",
                hint="add inventory: {conn_id: …}, and let watch_backups run",
            )
        targets = self._configuration().known_targets
        observations, findings = self._reader.read(connection)
        return self._written.text(observations, findings, now=self._clock(), targets=targets, accept=accept)


def _unavailable(error: BackstopError) -> Response:
    """Nothing is shown rather than something old; ``up`` is 0 then, and the text says why."""
    return Response(f"{error}\n", status_code=503, media_type="text/plain")
